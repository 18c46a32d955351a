"""Where a finding is for a program that shows it beside a file: a line of the user's plan, or of a class."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from archlint.core.finding import Finding


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
    name = named_from(location.file, root)
    return None if Path(name).is_absolute() else Place(name, location.line)


def named_from(file: str, root: Path) -> str:
    """``file``, absolute or relative to ``root``: from ``root`` and with ``/`` if it lies below it, else absolute."""
    path = Path(os.path.normpath(root / file))
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
