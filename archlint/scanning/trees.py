"""Models in a tree of folders."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archlint.sources.contents import CONFIG

_A_MODEL_HAS = ("model_type", "architectures", "auto_map")
"""Keys of which a model's config.json has one; those of pipelines, tokenizers and schedulers have none."""
_LARGEST = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Found:
    """A folder that holds a model, or one that may."""

    path: Path
    problem: str = ""
    """Why it cannot be known what is in it."""


def models(top: Path) -> Iterator[Found]:
    """The folders from ``top`` down that hold a model, sorted by name.

    Hidden folders are left out. Links to folders are followed, and no folder is visited twice, by whatever name. A
    config.json that cannot be read may be a model's, and is given: what checks it says what is wrong.
    """
    visited: set[tuple[int, int]] = set()
    folders = [top]
    while folders:
        folder = folders.pop()
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in visited:
                continue
            visited.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                below = sorted((entry.name, _is_folder(entry)) for entry in entries)
        except OSError as error:
            yield Found(folder, f"the folder cannot be read: {error.strerror or error}")
            continue
        if (CONFIG, False) in below and _may_be_a_models(folder / CONFIG):
            yield Found(folder)
        folders += [folder / name for name, is_folder in reversed(below) if is_folder and not name.startswith(".")]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _may_be_a_models(file: Path) -> bool:
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe, from which nothing may ever come
            return False
        if status.st_size > _LARGEST:
            return True
        content: Any = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return True
    return isinstance(content, dict) and any(content.get(key) for key in _A_MODEL_HAS)
