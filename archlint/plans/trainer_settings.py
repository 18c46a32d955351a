"""With whom a file trains, and what the trainer is given there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from archlint.core.training import Trainer


@dataclass(frozen=True, slots=True)
class TrainerSettings:
    """What a file says of trainers, in the words of transformers and TRL."""

    trainers: tuple[Trainer, ...] | None = None
    """Empty where it trains with one that archlint knows nothing of; ``None`` where it does not say."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the trainer (JSON values), with the tool's own defaults for those that the file leaves out."""
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """For each argument, the keys of the file that it comes from."""
    place: int | None = None
    """The number of the document's section in which they stand; ``None`` where there is none for them."""
