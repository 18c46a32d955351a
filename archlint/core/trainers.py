"""What rules about trainers have in common: names in a sentence, and remedies that change the trainer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from archlint.core.finding import Remedy
from archlint.core.training import NLL, Trainer, Training


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
