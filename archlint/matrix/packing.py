"""archlint as it runs, packed as a wheel: what is installed elsewhere is the same code, wherever it came from."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement

from archlint import __version__

_PACKAGES = ("archlint", "archlint.rules", "archlint.fixtures")
"""The second and the third stand beside the first in a checkout, and inside of it elsewhere."""
_INFO = f"archlint-{__version__}.dist-info"
_WHEEL = "Wheel-Version: 1.0\nGenerator: archlint\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of all files: the same code gives the same wheel."""


class NotInstalledError(Exception):
    """Nothing says what the running archlint depends on."""

    def __init__(self) -> None:
        super().__init__("archlint runs from a folder that is not installed: pip install it (-e will do) first")


@dataclass(frozen=True)
class Package:
    """The running archlint."""

    dependencies: tuple[str, ...]
    """Names with their markers, without bounds: whether archlint runs with an older version is what is tried."""
    optional: tuple[str, ...]
    """Those of which it uses what is installed, without needing it."""
    files: tuple[tuple[str, Path], ...]

    @classmethod
    def running(cls) -> Package:
        """The one that this process runs.

        Raises:
            NotInstalledError: it is a folder on the path, no installed distribution.
        """
        try:
            needed = [Requirement(line) for line in requires("archlint") or ()]
        except PackageNotFoundError:
            raise NotInstalledError from None
        always = [requirement for requirement in needed if "extra" not in str(requirement.marker)]
        by_trl = [r for r in needed if r not in always and r.marker is not None and r.marker.evaluate({"extra": "trl"})]
        return cls(tuple(map(_unbounded, always)), tuple(r.name for r in by_trl), tuple(sorted(_files())))

    @property
    def digest(self) -> str:
        """The same for the same code."""
        total = hashlib.sha256(repr(self.dependencies).encode())
        for name, path in self.files:
            total.update(f"\0{name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
        return total.hexdigest()

    def wheel(self, folder: Path) -> Path:
        """Write it into ``folder``."""
        path = folder / f"archlint-{__version__}-py3-none-any.whl"
        records: list[str] = []
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for name, file in self.files:
                records.append(_add(archive, name, file.read_bytes()))
            records.append(_add(archive, f"{_INFO}/METADATA", self._metadata.encode()))
            records.append(_add(archive, f"{_INFO}/WHEEL", _WHEEL.encode()))
            _add(archive, f"{_INFO}/RECORD", "".join([*records, f"{_INFO}/RECORD,,\n"]).encode())
        return path

    @property
    def _metadata(self) -> str:
        lines = ["Metadata-Version: 2.1", "Name: archlint", f"Version: {__version__}"]
        return "\n".join([*lines, *(f"Requires-Dist: {line}" for line in self.dependencies), ""])


def _unbounded(requirement: Requirement) -> str:
    return f"{requirement.name}; {requirement.marker}" if requirement.marker is not None else requirement.name


def _files() -> Iterator[tuple[str, Path]]:
    """The files of all packages: the name in a wheel, and where each is."""
    packages = {name: Path(import_module(name).__path__[0]) for name in _PACKAGES}
    for name, root in packages.items():
        if name != "archlint" and root.parent == packages["archlint"]:
            continue
        for path in root.rglob("*"):
            parts = path.relative_to(root).parts
            if path.is_file() and not any(part == "__pycache__" or part.startswith(".") for part in parts):
                yield "/".join([*name.split("."), *parts]), path


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> str:
    """Add a file; gives back its line in the list of files."""
    archive.writestr(zipfile.ZipInfo(name, _EPOCH), content)
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f'"{name}",sha256={digest},{len(content)}\n'


__all__: Sequence[str] = ("NotInstalledError", "Package")
