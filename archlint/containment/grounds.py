"""The files that contained code gets to see: Python, what is installed, and its own repository."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from archlint.sources import custom_code
from archlint.surroundings import STACK

_PACKAGES = ("archlint", *STACK, "tokenizers", "safetensors", "huggingface_hub", "numpy", "datasets")
"""What archlint runs in the contained process, wherever it lies."""
_LIBRARIES = ("/usr", "/lib", "/lib32", "/lib64", "/nix/store", "/gnu/store", "/System/Library", "/Library/Developer")
_SETTINGS = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime", "/etc/timezone")
_OF_THE_SYSTEM = (
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/filesystems",
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
    "/sys/kernel/mm/transparent_hugepage",
)
"""What libraries ask about the machine."""
_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
_INSTALLED = {"site-packages", "dist-packages"}


class NoGroundsError(Exception):
    """The folder of a repository is none that code may be shown; the message says why."""


@dataclass(frozen=True, slots=True)
class Grounds:
    """Files and folders by what may be done with them; those that may be read have no links in their paths."""

    installed: tuple[str, ...]
    """Where Python and packages are."""
    system: tuple[str, ...]
    repository: tuple[str, ...]
    """What the repository holds, less what is hidden: ``.git`` may hold passwords."""
    folders: tuple[str, ...]
    """Those of the repository itself."""
    home: str
    """The only one in which anything may be written."""
    search: tuple[str, ...]
    """Where modules are looked for."""

    @property
    def readable(self) -> tuple[str, ...]:
        return (*self.installed, *self.system, *self.repository)


def grounds(repository: Path | None, cache: Path, others: Iterable[str], home: str) -> Grounds:
    """What code in the folder ``repository`` gets to see.

    Args:
        cache: the hub's.
        others: hub ids of repositories whose code is used as well.
        home: a folder that is made for it.

    Raises:
        NoGroundsError: the folder holds the user's home.
    """
    roots = [] if repository is None else [_root(Path(os.path.realpath(repository)), cache)]
    roots += [Path(os.path.realpath(cache / f"models--{name.replace('/', '--')}")) for name in others]
    own = user_home()
    for root in roots:
        if own is not None and Path(os.path.realpath(own)).is_relative_to(root):
            raise NoGroundsError(f"{root} holds the home folder, which its code would be shown")
    return Grounds(
        installed=tuple(_outermost(_installed())),
        system=(*_OF_THE_SYSTEM, *_DEVICES, *map(os.path.realpath, _SETTINGS)),
        repository=tuple(path for root in roots for path in _visible(root)),
        folders=tuple(map(str, roots)),
        home=home,
        search=tuple(path for path in sys.path if path and _is_needed(path)),
    )


def user_home() -> str | None:
    """The home of the user that archlint runs for, who may have none: in a container started with a mere number."""
    home = os.path.expanduser("~")  # noqa: PTH111 (which raises nothing)
    return home if os.path.isabs(home) else None  # noqa: PTH117 (as it is a string)


def _outermost(paths: Iterable[str]) -> list[str]:
    """``paths`` without those that lie in another one."""
    found: list[str] = []
    for path in sorted(set(paths), key=len):
        if not any(Path(path).is_relative_to(one) for one in found):
            found.append(path)
    return found


def borrowed(config: object) -> tuple[str, ...]:
    """The hub ids of other repositories whose code a configuration names."""
    files = custom_code.files(config) if isinstance(config, dict) else ()
    return tuple(dict.fromkeys(file.repository for file in files if file.repository is not None))


def _root(folder: Path, cache: Path) -> Path:
    """All that belongs to the repository: in the hub's cache the files of a revision are links to others beside it."""
    hub = Path(os.path.realpath(cache))
    return hub / folder.relative_to(hub).parts[0] if folder != hub and folder.is_relative_to(hub) else folder


def _visible(root: Path) -> Iterator[str]:
    """What lies in a folder, without what is hidden and without links, which may lead anywhere."""
    try:
        entries = sorted(os.scandir(root), key=lambda entry: entry.name)
    except OSError:
        return
    yield from (entry.path for entry in entries if not entry.name.startswith(".") and not entry.is_symlink())


def _installed() -> Iterator[str]:
    own = {os.path.realpath(path) for path in (user_home(), Path.cwd()) if path is not None}

    def is_fit(path: str) -> bool:
        return not any(Path(one).is_relative_to(path) for one in own)

    prefixes = [sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix]
    paths = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    found = [path for path in sys.path if not _INSTALLED.isdisjoint(Path(path).parts)]
    libraries = os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)
    for path in (*prefixes, *paths, *found, *filter(None, libraries)):
        real = os.path.realpath(path)
        if is_fit(real):
            yield real
    yield from (real for path in _LIBRARIES if Path(real := os.path.realpath(path)).is_dir())
    yield str(Path(os.path.realpath(sys.executable)).parent)
    for name in _PACKAGES:
        yield from (os.path.realpath(folder) for folder in _folders(name))


def _folders(package: str) -> Iterable[str]:
    """The folder of a package; that of archlint in a checkout is not all that it has on its path."""
    spec = find_spec(package)
    return () if spec is None or not spec.has_location else (str(Path(spec.origin or "").parent),)


def _is_needed(path: str) -> bool:
    """Whether modules that lie there are installed, or archlint's: code has no use for those of the user's project."""
    if not _INSTALLED.isdisjoint(Path(path).parts):
        return True
    real = Path(os.path.realpath(path))
    roots = (sys.base_prefix, sys.prefix)
    if any(real.is_relative_to(os.path.realpath(root)) for root in roots):
        return True
    return any(Path(os.path.realpath(folder)).parent == real for name in _PACKAGES for folder in _folders(name))
