"""What was done with the code that a model's own repository brings: read, or run within bounds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that could not be read of the code: modules may be missing there, or be others than shown."""

    path: str
    """The module that it concerns; empty for the model as a whole."""
    file: str
    line: int
    why: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What became of code that was read, and of which nothing was run."""

    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that the code did, or tried to do, that loading a model has no use for."""

    text: str


@dataclass(frozen=True, slots=True)
class Containment:
    """What code was run in."""

    layers: tuple[str, ...] = ()
    """What was in force, in words: ``Landlock (ABI 7)``."""
    lack: str = ""
    """What was open for want of a layer; empty where files, network and processes were each closed."""


@dataclass(frozen=True, slots=True)
class Conduct:
    """How code behaved that was run, and within which bounds."""

    containment: Containment
    remarks: tuple[Remark, ...] = ()


@dataclass(frozen=True, slots=True)
class OwnCode:
    """What was done with the code of a model's own repository: it was read, or it was run."""

    reading: Reading | None = None
    conduct: Conduct | None = None

    @property
    def was_run(self) -> bool:
        return self.conduct is not None

    def __str__(self) -> str:
        """What a reader of the report should know of it."""
        if self.conduct is None:
            gaps = len(self.reading.gaps) if self.reading is not None else 0
            left = f"; {gaps} {'places' if gaps > 1 else 'place'} in it could not be read" if gaps else ""
            return f"the repository's own code was read, and none of it run{left}"
        containment = self.conduct.containment
        left = f"; open to it: {containment.lack}" if containment.lack else ""
        return f"the repository's own code was run, kept in by {', '.join(containment.layers)}{left}"
