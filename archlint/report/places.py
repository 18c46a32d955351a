"""Where a finding is: in a file, for a program that shows it there, and in the model, for people who read a list."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from archlint.core.finding import Finding
from archlint.report.quoting import visible
from archlint.report.wording import plural

_MOST_FOLDS = 8


@dataclass(frozen=True, slots=True)
class Place:
    """A line, from 1, of a file: relative to the folder asked for and with ``/`` inside it, else absolute."""

    file: str
    line: int


def place(finding: Finding, root: Path) -> Place | None:
    """Where the user's file says what ``finding`` is about; else its class, if that is defined below ``root``.

    ``None`` where neither is: the class comes from an installed package, or there is none.
    """
    if finding.plan_line is not None:
        return Place(named_from(finding.plan_line.file, root), finding.plan_line.line)
    location = finding.location
    if location is None or not Path(location.file).is_absolute():  # files of installed packages are named from there
        return None
    name = inside(location.file, root)
    return None if name is None else Place(name, location.line)


def inside(file: str, root: Path) -> str | None:
    """``file`` from ``root``, with ``/``; ``None`` where it lies elsewhere."""
    name = named_from(file, root)
    return None if Path(name).is_absolute() else name


def listed(finding: Finding) -> Iterator[str]:
    """Where in the model ``finding`` is, the first patterns of it: ``64× layers.{0..31}.{q,k}_proj``."""
    for fold in finding.sites[:_MOST_FOLDS]:
        yield f"{fold.count}× {visible(fold.pattern)}"
    if rest := finding.sites[_MOST_FOLDS:]:
        yield f"and {plural(len(rest), 'pattern')} more"


def named_from(file: str, root: Path) -> str:
    """``file``, absolute or relative to ``root``: from ``root`` and with ``/`` if it lies below it, else absolute."""
    path = Path(os.path.normpath(root / file))
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
