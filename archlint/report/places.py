"""Where a finding is: in a file, for a program that shows it there, and in the model, for people who read a list."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from archlint.core.finding import Finding
from archlint.report.quoting import visible
from archlint.report.wording import plural

_MOST_FOLDS = 8


@dataclass(frozen=True, slots=True)
class Place:
    """A line, from 1, of a file: from the repository's root and with ``/`` inside it, else absolute."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """The file that a source is read from, and the line of each of its keys."""

    file: str
    lines: Mapping[str, int] = field(default_factory=dict)

    def line(self, finding: Finding | None) -> int:
        """Where it configures the part of the model that ``finding`` is about; else where it names the model."""
        roles = {fold.role for fold in finding.sites} if finding is not None else set()
        parts = [f"{role}_config" for role in roles] if len(roles) == 1 else []
        return next((self.lines[key] for key in (*parts, *_NAMING) if key in self.lines), 1)


_NAMING = ("architectures", "model_type", "base_model_name_or_path")
"""Keys that say which model a file is about, the most exact one first; the last is that of an adapter's file."""


@dataclass(frozen=True, slots=True)
class Checkout:
    """The files that findings are shown in: those of the repository that archlint was called in."""

    root: Path
    """The folder that files are named from."""
    folder: Path
    """The folder that relative names start from: where archlint was called."""
    configs: Mapping[str, ConfigFile] = field(default_factory=dict)
    """The file of each source that is a path."""
    plans: Mapping[str, str] = field(default_factory=dict)
    """The file that the user's plan for a source comes from."""

    def place(self, source: str, finding: Finding | None) -> Place | None:
        """Where a finding about ``source`` is shown, or what else is said of it.

        That is where the user's file says it; else its class, the source's own file, or the plan's, whichever comes
        first that is in the repository. ``None`` where none is.
        """
        return next(self.places(source, finding), None)

    def places(self, source: str, finding: Finding | None) -> Iterator[Place]:
        """All that :meth:`place` chooses from; only the user's file may lie outside the repository."""
        if finding is not None and (line := finding.plan_line) is not None:
            yield Place(self.name(line.file), line.line)
        location = None if finding is None else finding.location
        # files of installed packages are named from where packages are
        if location is not None and Path(location.file).is_absolute() and self.holds(location.file):
            yield Place(self.name(location.file), location.line)
        config = self.configs.get(source)
        if config is not None and self.holds(config.file):
            yield Place(self.name(config.file), config.line(finding))
        plan = self.plans.get(source)
        if plan is not None and self.holds(plan):
            yield Place(self.name(plan), 1)

    def holds(self, file: str) -> bool:
        """Whether ``file`` lies in the repository."""
        return not Path(self.name(file)).is_absolute()

    def name(self, file: str) -> str:
        """``file`` from :attr:`root` and with ``/`` if it lies below it, else absolute."""
        path = Path(os.path.normpath(self.folder / file))
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)


def listed(finding: Finding) -> Iterator[str]:
    """Where in the model ``finding`` is, the first patterns of it: ``64× layers.{0..31}.{q,k}_proj``."""
    for fold in finding.sites[:_MOST_FOLDS]:
        yield f"{fold.count}× {visible(fold.pattern)}"
    if rest := finding.sites[_MOST_FOLDS:]:
        yield f"and {plural(len(rest), 'pattern')} more"
