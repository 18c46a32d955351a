"""What the installed rules come from, and the state of it: where that is as it was, they are what they were.

Nothing of this imports a rule, nor what takes as long.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

from archlint.surroundings import is_in_folders

if TYPE_CHECKING:
    from archlint.core.rule import Rule

_OWN = "archlint"
_METADATA = (".dist-info", ".egg-info")
_IN_EGG = "egg-info"
_POINTS = "entry_points.txt"


class State(NamedTuple):
    """A file's state; zeros where there is none."""

    size: int
    changed: int
    """When, in nanoseconds since 1970."""

    @classmethod
    def of(cls, path: str) -> State:
        try:
            at = os.stat(path)  # noqa: PTH116 (a tenth of the time)
        except OSError:
            return cls(0, 0)
        return cls(at.st_size, at.st_mtime_ns)


class Origins(NamedTuple):
    """What rules were made of."""

    packages: Mapping[str, str | None]
    """Those outermost that they are in, but for archlint itself, and the file that each is imported from."""
    folders: Mapping[str, list[str]]
    """Those of all packages in these, and what is in each: a module more may be a rule more."""
    files: Mapping[str, State]
    """Modules, and what examples show."""

    @classmethod
    def of(cls, rules: Iterable[type[Rule]]) -> Origins:
        """Those of rules that are imported."""
        from archlint.report.rule_examples import sources

        roots = {_root(rule.__module__) for rule in rules} | {_OWN}
        modules = [module for name, module in list(sys.modules.items()) if _root(name) in roots]
        files = [module.__file__ for module in modules if getattr(module, "__file__", None)]
        folders = [folder for module in modules for folder in getattr(module, "__path__", ())]
        return cls._now(sorted(roots - {_OWN}), folders, [*filter(None, files), *sources()])

    @classmethod
    def _now(cls, packages: Iterable[str], folders: Iterable[str], files: Iterable[str]) -> Origins:
        return cls(
            {package: _origin(package) for package in packages},
            {folder: _names(folder) for folder in folders},
            {file: State.of(file) for file in files},
        )

    @property
    def are_unchanged(self) -> bool:
        """Whether all of it is as it was."""
        return self._now(*self) == self


def installed() -> list[tuple[str, int]] | None:
    """Where :mod:`importlib.metadata` would find entry points, and when each place was changed, in nanoseconds.

    ``None`` where that depends on more than folders, as another finder knows of packages as well.
    """
    if not is_in_folders():
        return None
    return list(_places())


def _places() -> Iterator[tuple[str, int]]:
    for folder in dict.fromkeys(sys.path):
        if os.path.isfile(folder):  # noqa: PTH113 (an archive)
            yield folder, State.of(folder).changed
        for name in filter(_is_metadata, _names(folder or os.curdir)):
            path = f"{folder}{os.sep}{name}"
            yield path, State.of(path).changed  # which installers replace as a whole
            if not name.endswith(_METADATA[0]):  # what is built in place is written over
                yield path, State.of(f"{path}{os.sep}{_POINTS}").changed


def _is_metadata(name: str) -> bool:
    return name.lower().endswith(_METADATA) or name.lower() == _IN_EGG


def _root(module: str) -> str:
    return module.partition(".")[0]


def _origin(package: str) -> str | None:
    """The file that a package would be imported from."""
    spec = find_spec(package)
    return None if spec is None else spec.origin


def _names(folder: str) -> list[str]:
    """What is in a folder that may be a module or metadata: not what is compiled or hidden, which tools put there."""
    try:
        with os.scandir(folder) as found:
            return sorted(one.name for one in found if one.name != "__pycache__" and not one.name.startswith("."))
    except OSError:
        return []
