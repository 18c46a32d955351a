"""What results depend on beside the model and archlint: Python, what is installed, what the environment says.

Nothing of that is imported to find out. Where pip or another installer has recorded what a package's files are, the
record stands for them, so that two machines with the same packages agree, wherever these lie and whenever they were
put there.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from archlint.digests import digest, key_of

STACK = ("torch", "transformers", "accelerate", "peft", "trl")
"""Packages whose code decides what is found."""
_UNWATCHED = {"torch": {""}, "transformers": {"models/"}}
"""Folders in these whose files are not looked at one by one where there is a record of them: it would take longer than
all else. Of transformers' models a result depends on the files that define its own classes, as they are."""

_FAMILIES = (
    "ACCELERATE_",
    "FSDP_",
    "PARALLELISM_CONFIG_",
    "PEFT_",
    "PYTORCH_",
    "TORCH_",
    "TORCHDYNAMO_",
    "TRANSFORMERS_",
    "TRL_",
    "XLA_",
)
"""What the names of variables begin with that these packages read."""
_SINGLE = {
    "CUDA_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
    "LOCAL_RANK",
    "LOCAL_WORLD_SIZE",
    "PT_HPU_LAZY_MODE",
    "RANK",
    "ROCR_VISIBLE_DEVICES",
    "SM_FRAMEWORK_PARAMS",
    "SM_HP_MP_PARAMETERS",
    "TRUST_REMOTE_CODE",
    "USE_HUB_KERNELS",
    "USE_TORCH_XLA",
    "WORLD_SIZE",
}
"""Others that transformers and torch read."""
_WITHOUT_EFFECT = {
    "ACCELERATE_ENABLE_RICH",
    "ACCELERATE_LOG_LEVEL",
    "TORCH_CPP_LOG_LEVEL",
    "TORCH_HOME",
    "TORCH_LOGS",
    "TORCH_SHOW_CPP_STACKTRACES",
    "TRANSFORMERS_CACHE",
    "TRANSFORMERS_IS_CI",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS",
    "TRANSFORMERS_OFFLINE",
    "TRANSFORMERS_VERBOSITY",
    "TRL_EXPERIMENTAL_SILENCE",
}
"""Those among them that are about messages, caches and the network."""

_OWN = ("archlint-", "archlint.egg")
_DEVICES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg", "/dev/accel")
"""Where the drivers of accelerators show: transformers takes other kernels, or refuses some, where there is none."""


def surroundings() -> str:
    """Digest of what results depend on beside the model and archlint's own code.

    What is installed is looked up once: a process does not see what changes after it was imported.
    """
    return key_of(_python(), _installed(), variables(os.environ), [Path(device).exists() for device in _DEVICES])


def _python() -> list[Any]:
    implementation = sys.implementation
    machine = os.environ.get("PROCESSOR_ARCHITECTURE") if sys.platform == "win32" else os.uname().machine
    # a build without the lock has the same version, and -O leaves out the assertions of a model's code
    build = [getattr(sys, "abiflags", ""), sys.byteorder, sys.maxsize, sys.flags.optimize]
    return [sys.version_info[:], implementation.name, implementation.version[:], sys.platform, machine, build]


def variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Those of the variables ``environment`` that results depend on."""
    names = (name for name in sorted(environment) if name in _SINGLE or name.startswith(_FAMILIES))
    return {name: environment[name] for name in names if name not in _WITHOUT_EFFECT}


@functools.cache
def _installed() -> str:
    return key_of(list(_distributions(sys.path)), [_package(name) for name in STACK])


def _distributions(folders: Sequence[str]) -> Iterator[list[str]]:
    """For each of ``folders`` that has any, what is installed there; transformers and PEFT look for much by name.

    archlint itself is left out: its code is looked at where it counts.
    """
    for folder in map(Path, dict.fromkeys(map(os.path.abspath, folders))):  # the working directory has two names
        found = []
        for name in sorted(_names(folder)):
            if name.startswith(_OWN):
                continue
            if name.endswith(".dist-info"):  # which has the version in it
                found.append(name)
            elif name.endswith(".egg-info"):
                found += [name, digest(content(folder / name / "PKG-INFO"))]
        if found:
            yield found


def is_in_folders() -> bool:
    """Whether all that is installed shows in folders: another finder than Python's may know of packages as well."""
    return not any(hasattr(finder, "find_distributions") and finder is not PathFinder for finder in sys.meta_path)


def _package(name: str) -> list[Any] | None:
    """What stands for the copy of a package that is, or would be, imported; ``None`` where there is none."""
    try:
        spec = find_spec(name)
    except ValueError:  # somebody made it and put it among the modules
        return None
    if spec is None:
        return None
    root = Path(spec.origin).parent if spec.origin and spec.submodule_search_locations else None
    record = root and _Record.of(name, root)
    if root and record:
        return [name, digest(record.of_package), *_by_hand(root, record, _UNWATCHED.get(name, ()))]
    # a checkout or an installation that is edited; or something else of that name, which is in the way
    roots = [root] if root else map(Path, spec.submodule_search_locations or filter(None, [spec.origin]))
    return [name, [_states(root) for root in roots]]


def _by_hand(root: Path, record: _Record, unwatched: Collection[str]) -> Iterator[Any]:
    """What tells files that came, went or were edited after a package was installed from those of the record."""
    found = _states(root, unwatched)
    yield [(path, size) for path, size, _ in found]
    later = [path for path, _, changed in found if changed > record.written]
    recorded = record.digests if later else {}
    for path in later:
        edited = content(root / path)
        if recorded.get(f"{root.name}/{path}") != _as_recorded(edited):
            yield [path, digest(edited)]


class _Record(NamedTuple):
    """The list of files that an installer made of a package."""

    lines: bytes
    written: int
    """When it was, in nanoseconds: after all that it lists."""

    @classmethod
    def of(cls, name: str, root: Path) -> _Record | None:
        """The one of the package in ``root``."""
        own = [entry for entry in _names(root.parent) if entry.endswith(".dist-info")]
        own = [entry for entry in own if entry.partition("-")[0].lower() == name]
        if len(own) != 1:
            return None
        path = root.parent / own[0] / "RECORD"
        lines = content(path)
        listed = f"{name}/__init__.py,sha256=".encode() in lines  # not so where it is a link to a checkout
        return cls(lines, path.stat().st_mtime_ns) if listed else None

    @property
    def of_package(self) -> bytes:
        """Its lines on the package itself: scripts, which come first, and the installer's notes hold paths.

        Installers sort the lines, and a search through all of them takes longer than the digest.
        """
        lines, notes = self.lines, b".dist-info/"
        first = 0
        while lines.startswith(b"../", first):
            first = _next(lines, first)
        begin = end = lines.rfind(b"\n", first, max(first, lines.find(notes, first))) + 1 or first
        while lines.find(notes, end, following := _next(lines, end)) >= 0:
            end = following
        return lines[first:begin] + lines[end:]

    @property
    def digests(self) -> dict[str, str]:
        """By file."""
        lines = (line.split(",") for line in self.lines.decode(errors="replace").splitlines())
        return {line[0]: line[1] for line in lines if len(line) == 3}


def _as_recorded(content: bytes) -> str:
    import base64  # only where something was edited
    from hashlib import sha256

    return "sha256=" + base64.urlsafe_b64encode(sha256(content).digest()).decode().rstrip("=")


def _next(lines: bytes, at: int) -> int:
    """Where the line after the one at ``at`` begins."""
    return lines.find(b"\n", at) + 1 or len(lines)


def _states(root: Path, unwatched: Collection[str] = ()) -> list[tuple[str, int, int]]:
    """Path, size and time of change, in nanoseconds, of Python files; of the one file if ``root`` is one."""
    if root.is_file():
        return [(root.name, root.stat().st_size, root.stat().st_mtime_ns)]
    found = []
    for path in sorted(files(root, unwatched=unwatched)):
        with contextlib.suppress(OSError):  # a link to nothing, as editors make for a lock
            state = os.stat(f"{root}/{path}")  # noqa: PTH116 (a Path for each of many takes as long again)
            found.append((path, state.st_size, state.st_mtime_ns))
    return found


def files(root: Path, suffixes: tuple[str, ...] = (".py",), unwatched: Collection[str] = ()) -> Iterator[str]:
    """The files in a folder and in the packages below it, each by its path from there.

    Args:
        unwatched: folders that are left out, each with a slash at its end.
    """
    due = [""]
    while due:
        place = due.pop()
        if place in unwatched:
            continue
        try:
            with os.scandir(f"{root}/{place}") as entries:
                for entry in entries:
                    name = entry.name
                    if name.endswith(suffixes):
                        yield place + name
                    elif "." not in name and entry.is_dir():
                        due.append(f"{place}{name}/")
        except OSError:
            continue


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 (a tenth of the time)
    except OSError:
        return []


def content(path: Path | str) -> bytes:
    """That of a file; none where it cannot be read."""
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 (a Path for each of many takes as long again)
            return file.read()
    except OSError:
        return b""
