"""Trainers in reports: their names in a sentence, remedies that change them, whom a model is checked for unasked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from archlint.core.blueprint import Blueprint
from archlint.core.finding import Remedy
from archlint.core.report import Unchecked
from archlint.core.training import DEFAULT_TRAINERS, NLL, Trainer, Training


def named(trainers: Sequence[Trainer]) -> str:
    """``SFTTrainer and DPOTrainer``."""
    *first, last = (trainer.label for trainer in trainers)
    return f"{', '.join(first)} and {last}" if first else last


def doing(trainers: Sequence[Trainer], verb: str) -> str:
    """``SFTTrainer turns``, ``SFTTrainer and DPOTrainer turn``."""
    return f"{named(trainers)} {verb}{'s' if len(trainers) == 1 else ''}"


def version(training: Training) -> str:
    """The version of TRL whose behaviour is told, and how it is known."""
    return f"TRL {training.trl}" if training.is_installed else f"TRL {training.trl}, the newest known"


def argument(text: str, **arguments: Any) -> Remedy:
    """A remedy that is one argument of the trainer: ``text`` says what for."""
    (name, value), *_ = arguments.items()
    return Remedy("setting", f"{name}={value!r}: {text}", value=dict(arguments), training=arguments)


def own_forward(training: Training) -> Iterator[Remedy]:
    """Remedies that compute the loss by the model's own forward: another trainer, or TRL as it was."""
    if Trainer.SFT in training.fusing:
        if NLL in training.own_loss_types:
            yield argument("the loss is then that of the model's own forward", loss_type=NLL)
        label = Trainer.TRANSFORMERS.label
        text = f"or train with {label}, which takes the model's own forward and loss"
        yield Remedy("other", text, trainer=Trainer.TRANSFORMERS)
    elif training.fusing:
        text = f"or install trl<{training.fused_since}, whose {doing(training.fusing, 'call')} the model's own forward"
        yield Remedy("upgrade", text)


def usual_trainers(blueprint: Blueprint) -> tuple[Trainer, ...]:
    """Whom a model is checked for where nobody says: TRL's SFTTrainer is for what generates text."""
    return DEFAULT_TRAINERS if blueprint.facts.is_generative else (Trainer.TRANSFORMERS,)


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
