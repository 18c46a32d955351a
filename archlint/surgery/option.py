"""One way to operate on a model, with the patch that does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from archlint.core.blueprint import Operation


@dataclass(frozen=True)
class Option:
    """An operation on all modules of one class, and what its patch file is made of.

    Several options of one way make one file: their constants are joined, key by key.
    """

    operation: Operation
    templates: tuple[ModuleType, ...] = ()
    """The modules whose code is the file; empty where nothing is done to the model."""
    constants: Mapping[str, tuple[dict[str, Any], str]] = field(default_factory=dict)
    """By name: values by class of module, and what they are, for a comment in the file."""
    target: str = "{}"
    """What PEFT is to be told of a module at the path ``{}`` once the patch is applied.

    Several are separated by commas; there is none where the module is not to be adapted.
    """
    notes: tuple[str, ...] = ()
    """Sentences for the head of the file: what it costs, what it demands later."""
    is_shared: bool = False
    """Whether other modules have the linear's weight too, so that they change when an adapter is merged into it."""
