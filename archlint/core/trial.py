"""What was tried on a model, and what happened. Plain data; the trials themselves are made in ``proving``."""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

LORA = "LORA"
"""PEFT's ``peft_type`` of LoRA."""
USER = "user"
"""The name of the user's plan."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A way to place adapters: a name and the arguments of a ``LoraConfig`` (JSON values).

    ``tuner`` is PEFT's ``peft_type``; the arguments are those of that tuner's config where it is not LoRA.
    """

    name: str
    lora: Mapping[str, Any] = field(default_factory=dict)
    tuner: str = LORA
    means_all: bool = False
    """Whether every linear layer was asked for in words that a tool made these arguments of."""

    @property
    def says_all(self) -> bool:
        """Whether it asks for every linear layer."""
        if self.means_all:
            return True
        targets = self.lora.get("target_modules")
        return isinstance(targets, str) and targets.lower() == "all-linear"

    def named(self, setting: str) -> tuple[str, ...]:
        """The texts that a setting lists, a single one as one; what is no text names nothing."""
        given = self.lora.get(setting)
        listed = given if isinstance(given, (list, tuple, set, frozenset)) else (given,)
        return tuple(value for value in listed if isinstance(value, str))

    @property
    def is_default(self) -> bool:
        """Whether it leaves the choice of targets to PEFT."""
        return not self.lora.get("target_modules") and not self.lora.get("target_parameters")


@dataclass(frozen=True, slots=True)
class Refusal:
    """What PEFT raised: the exception's type and message, and the site at which it did, where there was one."""

    type: str
    message: str
    at: str | None = None
    rows: int | None = None
    """How many rows the embedding would need, where the plan trains one that it does not have."""

    def __str__(self) -> str:
        return f"{self.type}: {self.message}"


@dataclass(frozen=True, slots=True)
class Crash:
    """What a model's own code raised while it was run, and the deepest line of that code on the way there."""

    type: str
    message: str
    file: str | None = None
    line: int | None = None
    at: str | None = None
    """Path of the innermost module that was running."""

    def __str__(self) -> str:
        where = f" ({self.file}:{self.line})" if self.file else ""
        return f"{self.type}: {self.message}{where}"


@dataclass(frozen=True, slots=True)
class Read:
    """A line of code that computes with a weight without calling the module which holds it.

    ``path`` is the module's; ``only`` says when that happens, where it does not always: ``cuda_kernels_forward``
    is the name of the method that stands beside one which calls the module.
    """

    path: str
    file: str
    line: int
    only: str | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Ground(str, enum.Enum):
    """What a model was run on."""

    META = "meta"
    """The meta device, in full or on the shortest stack of layers that shows every kind of layer."""
    COPY = "copy"
    """A small copy on the processor, of the same class with random weights."""


class Mute(str, enum.Enum):
    """What multiplies an adapter by zero."""

    SCALING = "scaling"
    """Its scaling, as with ``lora_alpha=0``."""
    DROPOUT = "dropout"
    """A dropout of all that it gets."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """The model's own training step, without any adapter: what a trial's run is held against.

    It is run on a batch that fits the scope; ``inputs`` are the names of what the batch holds.
    """

    ground: Ground | None = None
    """``None`` where the model could not be run."""
    inputs: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    """Inputs that the model asks for in training, and not in evaluation: a plain batch lacks them."""
    without_extra: Crash | None = None
    """What a plain batch raises in training."""
    reason: str = ""
    """Why it could not be run."""
    idle: tuple[str, ...] = ()
    """Modules that the batch leaves unused, the highest of each branch."""
    reads: tuple[Read, ...] = ()
    """Weights that are read past their module."""
    cache: Crash | None = None
    """What ``use_cache=False`` raises, where the model runs with ``use_cache=True``."""
    cached: tuple[str, ...] = ()
    """Modules that are called with ``use_cache=False`` only."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One value of a plan's setting and what it reaches, by PEFT's own matching.

    ``setting`` is the LoraConfig argument and ``value`` the single name, pattern or index in it.
    """

    setting: str
    value: str
    reaches: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Trial:
    """What a plan did on the meta model."""

    plan: Plan
    raised: Refusal | None = None
    adapted: tuple[str, ...] = ()
    """Paths of the sites that hold an adapter; a parameter's path ends in its name."""
    saved: tuple[str, ...] = ()
    """Paths of the modules that ``modules_to_save`` trains in full."""
    reached: tuple[str, ...] = ()
    """Paths of the modules that the plan's targets match, whether PEFT could adapt them or not."""
    entries: tuple[Entry, ...] = ()
    rewritten: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Settings that PEFT replaced by others before use: argument and the values it used."""
    notices: tuple[str, ...] = ()
    """Warnings that PEFT gave."""
    coverage: float = 0.0
    outside: int = 0
    """Adapted sites in towers and connectors that the scope does not train."""
    trainable: int | None = 0
    """Number of trainable parameters after injection; ``None`` where PEFT could not place them on the model itself."""
    size: int | None = 0
    """Bytes of the weights that PEFT saves for the adapter; 0 where it was not asked, as it is of the user's plan.

    ``None`` where ``trainable`` is.
    """
    carried: Mapping[str, int] = field(default_factory=dict)
    """Sites whose own weight PEFT saves in full beside the adapter, and its bytes, which ``size`` includes."""
    forward: str = "unavailable"
    """``ok``, ``crashed`` or ``unavailable``: whether the adapted model was run forward and backward."""
    crash: Crash | None = None
    dead: tuple[str, ...] = ()
    """Adapted sites that got no gradient."""
    saved_dead: tuple[str, ...] = ()
    """Those of ``saved`` that got no gradient."""
    muted: Mapping[str, Mute] = field(default_factory=dict)
    """Adapted sites whose adapter is multiplied by zero: it changes nothing, and its gradients are zero."""
    head: Refusal | None = None
    """What trainers that take the weight of the model's head raise of the head that it has with the adapters."""
    ground: Ground | None = None
    """What it was run on; ``None`` where ``forward`` is ``unavailable``."""
    not_run: str = ""
    """Why PEFT could not be asked, or the adapted model not be run, where that lies in the plan."""

    @property
    def is_sound(self) -> bool:
        """Whether it was run, and nothing is known against it."""
        return self.raised is None and self.forward == "ok" and not (self.dead or self.saved_dead or self.muted)

    def refuses(self, paths: Collection[str]) -> bool:
        """Whether PEFT refused a module of ``paths``, or would have next: it stops at the first that it refuses."""
        if self.raised is None or self.raised.at is None:
            return False
        return self.raised.at in paths or any(path in paths for path in self.reached)

    def reached_by(self, setting: str, value: str) -> tuple[str, ...]:
        """What one entry of the plan reaches."""
        return next((e.reaches for e in self.entries if (e.setting, e.value) == (setting, value)), ())

    def reached_through(self, *settings: str) -> frozenset[str]:
        """What all values of ``settings`` reach."""
        return frozenset(path for entry in self.entries if entry.setting in settings for path in entry.reaches)

    def reached_by_name(self, name: str) -> tuple[str, ...]:
        """What one name of ``target_modules`` reaches."""
        return self.reached_by("target_modules", name)


class Judge(Protocol):
    """What can try a plan."""

    def try_plan(self, plan: Plan) -> Trial:
        """What a plan does."""
        ...
