"""What can be done to a model after it is loaded, so that PEFT finds layers where it finds none."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from archlint.core.safety import Safety


class Way(str, enum.Enum):
    """A kind of surgery; the first that applies to a module and is exact is the one to take."""

    INNER = "inner"
    """None: the plan names the linear inside a wrapper."""
    UNWRAP = "unwrap"
    """The linear inside a wrapper takes its place."""
    KEEP = "keep"
    """The linear inside a wrapper takes its place, and does what the wrapper does."""
    REGISTER = "register"
    """None to the model: PEFT is told how to adapt the wrapper."""
    SPLIT = "split"
    """A fused projection becomes one linear for each of its parts."""
    EXPERTS = "experts"
    """Stacked experts become one linear for each matrix of each expert."""
    SHIELD = "shield"
    """A layer that PEFT takes for a linear and that is none gets its product from a linear of its own."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How far two ways of computing the same lie apart at most, in standard deviations of the outputs."""

    single: float = 0.0
    """In float32."""
    half: float = 0.0
    """In bfloat16."""

    @property
    def safety(self) -> Safety:
        """Exact where there is none."""
        return Safety.LOSSY if max(self.single, self.half) else Safety.EXACT

    @property
    def figure(self) -> str:
        """The larger one, with two digits."""
        return f"{max(self.single, self.half):.2g}"


@dataclass(frozen=True, slots=True)
class Effect:
    """What a surgery changes of what a model computes."""

    forward: Difference = Difference()
    """Between the model as it was and as it is with the surgery, without adapters."""
    training: Difference = Difference()
    """The same in training mode: a dropout that is gone shows only there."""
    merged: Difference = Difference()
    """Between the model that was trained, and the original one with the adapters merged into it."""

    @property
    def safety(self) -> Safety:
        """Exact where nothing is changed."""
        parts = (self.forward, self.training, self.merged)
        return Safety.EXACT if all(part.safety is Safety.EXACT for part in parts) else Safety.LOSSY


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the trial of a patch: what was done, whether it went well, and what was seen."""

    name: str
    passed: bool
    told: str
    safety: Safety | None = None
    """Where outputs are compared: whether both are the same."""
