"""The files that define a model's classes, and whether they are what they were."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

from archlint.digests import digest

if TYPE_CHECKING:
    from archlint.core.blueprint import Blueprint

_COPIES = "transformers_modules"
"""The package of transformers' copies of repositories' own code."""
_MODELS = "transformers.models"
"""The package of transformers' models, which :mod:`archlint.surroundings` does not look at file by file."""
_CHOOSING = f"{_MODELS}.auto"
"""What says which classes a configuration means."""

State = tuple[str, int, int]
"""A digest of a file's content, its size, and when it was changed, in nanoseconds since 1970."""

_of_nobody: set[str] = set()
"""Modules from outside of all installed packages that models of this process imported: the next model that imports one
finds it there."""


class Places:
    """What is looked at of the files around one model, from the moment that it is made."""

    def __init__(self) -> None:
        self._begin = time.time()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Within the block, code from outside of all installed packages that is imported counts as the model's."""
        before = set(sys.modules)
        try:
            yield
        finally:
            for name in sys.modules.keys() - before:
                file = _file(name)
                if file is not None and not name.startswith(_COPIES) and not _is_installed(file):
                    _of_nobody.add(name)

    def states(self, blueprint: Blueprint | None, others: Collection[str] = ()) -> dict[str, State] | None:
        """The files that the classes of ``blueprint`` are made from, and what they are.

        Those are the classes' own; of transformers' models also the configuration, what else these import, and what
        chose the class; and whatever is not installed that a model of this process imported. Where there is no
        ``blueprint``, any model that was looked for is in the files of transformers.

        ``others`` are those that another process found so.

        ``None`` where one cannot be read, as of a class that was typed in, or was changed meanwhile: what was imported
        may be what it was before.
        """
        types = {site.type for site in (() if blueprint is None else blueprint.sites)}
        if any(place.file is None for place in types):
            return None
        own = {place.file for place in types if place.file is not None}
        imported = {file for name in _of_nobody if (file := _file(name)) is not None}
        files = sorted(own | imported | {*others} | (_all_models() if blueprint is None else _models(own)))
        states = {file: state for file in files if (state := _state(file, self._begin)) is not None}
        return states if len(states) == len(files) else None

    def hold(self, states: Mapping[str, Sequence[Any]]) -> bool:
        """Whether the files are what they were; an edit that leaves size and time as they were goes unseen."""
        return all(_holds(file, state) for file, state in states.items())


def _models(files: Iterable[str]) -> set[str]:
    """The files of transformers' models that are imported and that ``files``, some of them, have to do with."""
    packages = {".".join(Path(file).parts[:3]) for file in files if file.startswith("transformers/models/")}
    due, seen, found = {_CHOOSING, *packages}, set[str](), set[str]()
    while due:
        package = due.pop()
        seen.add(package)
        for name, module in list(sys.modules.items()):
            if name == package or name.startswith(f"{package}."):
                found.add(name)
                values = [value for value in vars(module).values() if isinstance(value, (type, FunctionType))]
                others = {".".join(value.__module__.split(".")[:3]) for value in values if value.__module__}
                due |= {other for other in others if other.startswith(f"{_MODELS}.")} - seen
    return {shown for name in found if (shown := _shown(_file(name))) is not None}


def _all_models() -> set[str]:
    """The files of each of transformers' models that anything of was asked for, whether it could be imported or not."""
    found: set[str] = set()
    for name in list(sys.modules):
        file = _file(name) if name.startswith(f"{_MODELS}.") and name.count(".") == 2 else None
        if file is not None:
            found |= {shown for path in Path(file).parent.glob("*.py") if (shown := _shown(str(path))) is not None}
    return found


def _shown(file: str | None) -> str | None:
    """``file`` of the installed transformers as its package would name it; ``None`` for one in a checkout."""
    if file is None or not _is_installed(file):
        return None
    parts = Path(file).parts
    return "/".join(parts[len(parts) - parts[::-1].index("transformers") - 1 :])


def _found(file: str) -> tuple[str, os.stat_result] | None:
    """Where a file is, and its state; those of installed packages are named from a folder of ``sys.path``."""
    for root in [""] if os.path.isabs(file) else sys.path:  # noqa: PTH117 (a Path for each of many takes as long again)
        path = os.path.join(root, file)  # noqa: PTH118
        with suppress(OSError):
            return path, os.stat(path)  # noqa: PTH116
    return None


def _state(file: str, until: float) -> State | None:
    """What a file is; ``None`` where it cannot be read, or was changed after ``until``, in seconds since 1970."""
    if (found := _found(file)) is None or found[1].st_mtime > until:
        return None
    path, at = found
    content = _digest(path)
    return None if content is None else (content, at.st_size, at.st_mtime_ns)


def _holds(file: str, state: Sequence[Any]) -> bool:
    """Whether a file is what it was; its content is read where its time is another, as on another machine."""
    if (found := _found(file)) is None or len(state) != 3:
        return False
    content, size, changed = state
    path, at = found
    return bool(at.st_size == size) and (bool(at.st_mtime_ns == changed) or _digest(path) == content)


def _digest(path: str) -> str | None:
    try:
        return digest(Path(path).read_bytes())
    except OSError:
        return None


def _file(module: str) -> str | None:
    """The file that an imported module was read from; ``None`` for one that was made by a program."""
    spec = getattr(sys.modules.get(module), "__spec__", None)
    return spec.origin if spec is not None and spec.has_location else None


def _is_installed(file: str) -> bool:
    """Whether a module is one of Python's, of an installed package or of archlint's: those are known by version."""
    ours = Path(__file__).parent
    path = Path(file)
    return not {"site-packages", "dist-packages"}.isdisjoint(path.parts) or any(
        path.is_relative_to(root) for root in (sys.base_prefix, ours, ours.parent / "rules")
    )
