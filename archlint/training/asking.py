"""Which trainers a model is checked for, and what they make of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from torch import nn

from archlint.core.blueprint import Blueprint
from archlint.core.report import Unchecked
from archlint.core.training import DEFAULT_TRAINERS, Trainer, Training
from archlint.running import Batch
from archlint.training.behaviour import UnknownVersionError, behaviour
from archlint.training.observe import observe

T = TypeVar("T")


class Model(Protocol):
    """What can be run without adapters."""

    @property
    def model(self) -> nn.Module:
        """It, or what it is a copy of."""
        ...

    def observe(self, look: Callable[[nn.Module, Batch], T]) -> T | None:
        """What ``look`` finds in it on a batch; ``None`` where it cannot be run."""
        ...


def usual_trainers(blueprint: Blueprint) -> tuple[Trainer, ...]:
    """Whom a model is checked for where nobody says: TRL's SFTTrainer is for what generates text from text."""
    facts = blueprint.facts
    is_for_text = facts.is_generative and facts.main_input == "input_ids"
    return DEFAULT_TRAINERS if is_for_text else (Trainer.TRANSFORMERS,)


def ask(
    model: Model, blueprint: Blueprint, trainers: Sequence[Trainer], arguments: Mapping[str, Any]
) -> tuple[Training, tuple[Unchecked, ...]]:
    """What ``trainers`` make of ``model``, and what could not be found out of it."""
    if not trainers or not hasattr(model.model, "config"):
        return Training(), ()
    try:
        trl = behaviour()
    except UnknownVersionError as error:
        lack = (Unchecked("TRL's trainers", str(error)),) if any(trainer.is_trl for trainer in trainers) else ()
        return Training(), lack
    training = model.observe(lambda model, batch: observe(model, batch, trainers, arguments, trl))
    if training is None:
        return Training(), ()  # a model that cannot be run is told as such
    return training, tuple(_lacks(training))


def _lacks(training: Training) -> Iterator[Unchecked]:
    if training.fusing and training.fused is None and training.tail.reason:
        labels = " and ".join(trainer.label for trainer in training.fusing)
        yield Unchecked(
            f"the loss of {labels}", f"it could not be compared with the model's own: {training.tail.reason}"
        )
