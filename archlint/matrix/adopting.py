"""What is installed here, put into another environment: without a network, in no time, and taking no room.

Files are hard links where both are on one file system. An installer that replaces a package there removes its
own links, and writes files anew, so nothing changes here.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def closure(roots: Iterable[Requirement]) -> dict[str, Distribution]:
    """What is installed of ``roots`` and of all that they need, by name."""
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [(root.name, frozenset(root.extras)) for root in roots]
    while waiting:
        name, extras = waiting.pop()
        for extra in ("", *extras):
            key = (canonicalize_name(name), extra)
            installed = None if key in seen else _installed(name)
            seen.add(key)
            if installed is not None:
                found[key[0]] = installed
                waiting += ((need.name, frozenset(need.extras)) for need in _needs(installed, extra))
    return found


def _installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def _needs(installed: Distribution, extra: str) -> Iterator[Requirement]:
    for requirement in map(Requirement, installed.requires or ()):
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            yield requirement


def adopt(distributions: Collection[Distribution], site_packages: Path) -> None:
    """Put ``distributions`` into another environment's folder of packages.

    One that does not say which files are its own is left to the installer; scripts stay where they are. The metadata
    of a source tree lists the files of the tree.
    """
    for one in distributions:
        for file in (one.files or ()) if one.read_text("RECORD") else ():
            source = Path(str(one.locate_file(file)))
            if ".." not in file.parts and not file.is_absolute() and source.is_file():
                target = site_packages / file
                target.parent.mkdir(parents=True, exist_ok=True)
                _link(source, target)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileExistsError:  # two distributions share it
        return
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)
