"""The weights of a published adapter, by name and shape, and what became of them on the base model. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from archlint.core.trial import Refusal

Shape = tuple[int, ...]


PREFIX = "base_model.model."
"""What PEFT puts before the base model's names in an adapter's file."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A tensor whose shape in the file is not the one that the model has for it."""

    key: str
    file: Shape
    model: Shape


@dataclass(frozen=True, slots=True)
class AdapterWeights:
    """What the installed PEFT makes of an adapter's file on its base model.

    Keys are those of the file, which PEFT begins with ``base_model.model.``; they do not hold the adapter's name.
    """

    file: str
    """What the reader knows the file as."""
    count: int
    """Number of tensors in it."""
    ignored: tuple[str, ...] = ()
    """Keys of the file for which the model has no place: PEFT passes over them without a word."""
    missing: tuple[str, ...] = ()
    """Keys that the model waits for and does not get: what is there stays as it was initialised."""
    mismatched: tuple[Mismatch, ...] = ()
    raised: Refusal | None = None
    """What loading raised."""
    key_mapping: Mapping[str, str] = field(default_factory=dict)
    """A ``key_mapping`` of PEFT with which every key was taken and none was missing."""
    rows: int | None = None
    """A size of the vocabulary to which the model was resized, and then everything was loaded."""
    rank: int | None = None
    """A rank that was put for the ``r`` of the settings, and then everything was loaded."""
    prefix: str = ""
    """What was put before every key of the file, and then everything was loaded."""

    @property
    def is_lost(self) -> bool:
        """Whether no tensor has a place: nothing of the adapter is loaded."""
        return 0 < self.count == len(self.ignored)

    @property
    def fits(self) -> bool:
        """Whether every tensor has its place, and every place its tensor."""
        return not (self.ignored or self.missing or self.mismatched or self.raised)
