"""What the trainers make of a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, TypeVar

from torch import nn
from transformers import PretrainedConfig

from archlint.core.training import Training
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
