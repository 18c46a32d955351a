"""What a tool can say of where adapters go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Means:
    """What a tool can say of where adapters go, besides a list of names."""

    expression: bool = True
    """A regular expression for ``target_modules``."""
    exclusion: bool = True
    """``exclude_modules``."""
    parameters: bool = True
    """``target_parameters``."""

    def allow(self, arguments: Mapping[str, Any]) -> bool:
        """Whether the tool can say ``arguments``, as far as they place adapters."""
        expression = isinstance(arguments.get("target_modules"), str)
        return (
            (self.expression or not expression)
            and (self.exclusion or not arguments.get("exclude_modules"))
            and (self.parameters or not arguments.get("target_parameters"))
        )


ALL = Means()
"""PEFT's own."""
