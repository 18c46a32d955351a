"""The versions of what is installed, without importing it."""

from __future__ import annotations

import functools
import os
import platform
import sys
from typing import TYPE_CHECKING

from archlint.surroundings import STACK, content, is_in_folders

if TYPE_CHECKING:
    from archlint.core.report import Environment

_METADATA = (".dist-info", ".egg-info")


@functools.cache
def version(package: str) -> str | None:
    """The installed version of ``package``; ``None`` where it is not installed."""
    recorded = _recorded(package)
    if recorded is not None:
        return recorded
    # which parses all of a package's metadata as an email: with its imports a tenth of a check that is known
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed(package)
    except PackageNotFoundError:
        return None


@functools.cache
def environment() -> Environment:
    """The versions that a result depends on."""
    from archlint.core.report import Environment  # which takes as long as all else of a call that asks for one version

    return Environment(python=platform.python_version(), **{name: version(name) for name in STACK})


def _recorded(package: str) -> str | None:
    """What :mod:`importlib.metadata` says of a package that has one folder of metadata where it is looked for first.

    ``None`` where that is not plain to see.
    """
    if not is_in_folders():
        return None
    for folder in dict.fromkeys(sys.path):
        if folder.lower().endswith(".egg") or os.path.isfile(folder):  # noqa: PTH113 (an archive)
            return None
        if found := _metadata(folder or os.curdir, package):
            return _version(f"{folder or os.curdir}/{found[0]}") if len(found) == 1 else None
    return None


def _metadata(folder: str, package: str) -> list[str]:
    """The names of what in ``folder`` is metadata of ``package``."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 (a tenth of the time)
    except OSError:
        return []
    names = [name for name in names if name.lower().endswith(_METADATA)]
    return [name for name in names if name.lower().rpartition(".")[0].partition("-")[0] == package]


def _version(metadata: str) -> str | None:
    """The version in a folder of metadata, where it stands among the headers of its file."""
    for line in content(f"{metadata}/METADATA").decode(errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name.lower() == "version":
            return value.strip() or None
        if not line:
            break
    return None
