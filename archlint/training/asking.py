"""What the trainers make of a model, and whom it is checked for where nobody says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Protocol, TypeVar

from torch import nn
from transformers import PretrainedConfig

from archlint.core.blueprint import Blueprint
from archlint.core.report import Unchecked
from archlint.core.training import DEFAULT_TRAINERS, Trainer, Training
from archlint.running import Batch
from archlint.training.behaviour import UnknownVersionError, behaviour
from archlint.training.observe import inspect_model, observe

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
    """Whom a model is checked for where nobody says: TRL's SFTTrainer is for what generates text."""
    return DEFAULT_TRAINERS if blueprint.facts.is_generative else (Trainer.TRANSFORMERS,)


def ask(model: Model) -> Training:
    """What any trainer makes of ``model``, yet without trainers; little is known where the model cannot be run."""
    if not isinstance(getattr(model.model, "config", None), PretrainedConfig):
        return Training(unknown="the model is none of transformers': it has no config of theirs")
    try:
        trl = behaviour()
    except UnknownVersionError as error:
        return Training(unknown=str(error))
    seen = model.observe(lambda model, batch: observe(model, batch, trl))
    return seen or replace(inspect_model(model.model, trl), is_static=True)


def lacks(training: Training) -> Iterator[Unchecked]:
    """What could not be found out about the trainers of ``training``."""
    if training.unknown and any(trainer.is_trl for trainer in training.trainers):
        yield Unchecked("TRL's trainers", training.unknown)
    if training.bypassing and training.fused is None and training.tail.reason:
        labels = " and ".join(trainer.label for trainer in training.bypassing)
        why = f"it could not be compared with the model's own: {training.tail.reason}"
        yield Unchecked(f"the loss of {labels}", why)
    if training.loss.reason and Trainer.TRANSFORMERS in training.trainers:
        why = f"it could not be computed: {training.loss.reason}"
        yield Unchecked("the model's own loss, as transformers' Trainer takes it", why)
    if training.trained is not None and training.trained.reason:
        yield Unchecked("a trial of SFTTrainer", training.trained.reason)
