"""transformers runs a copy of a repository's own code; people are to be told of the file that was copied."""

from __future__ import annotations

import os
from pathlib import Path

_ORIGINS: dict[Path, Path] = {}


def remember(copy: Path, origin: Path) -> None:
    """Note that the folder ``copy`` holds files of the folder ``origin``; of several, the last one counts."""
    _ORIGINS[copy.absolute()] = Path(os.path.normpath(origin.absolute()))  # in the hub's cache names are links


def original(file: str) -> str:
    """The file that ``file`` is a copy of; ``file`` itself where it is none, or the other is gone."""
    path = Path(file)
    for folder in path.parents:
        if (origin := _ORIGINS.get(folder)) is not None:
            source = origin / path.relative_to(folder)
            return str(source) if source.is_file() else file
    return file
