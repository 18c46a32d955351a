"""Files that are read: the repository's, and those of the installed transformers that its code builds on."""

from __future__ import annotations

import ast
import os
import stat
import tokenize
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from archlint.reading.limits import MAX_FILE, MAX_FILES, ReadingError
from archlint.syntax import parsed

_READ = ("models", "modeling_layers", "backbone_utils", "time_series_utils")
"""Parts of transformers whose classes make layers; of all others only what they are called matters."""


class Sources:
    """Finds the file of a module by its full name.

    Modules of the repository have names that start at its folder. A folder inside of the installed transformers is
    read like a repository, and its modules have the names that they have there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(os.path.normpath(folder.absolute()))
        """Its files are named from here, as they are where the code is run."""
        self.root = folder.resolve()
        self.package: tuple[str, ...] = ()
        if self.root.is_relative_to(self.library):
            self.package = (self.library.name, *self.root.relative_to(self.library).parts)
        self._trees: dict[Path, ast.Module] = {}

    @cached_property
    def library(self) -> Path:
        """The folder of the installed transformers."""
        import transformers

        return Path(str(transformers.__file__)).resolve().parent

    def own(self, name: str) -> Path | None:
        """The file of a module of the repository.

        Raises:
            ReadingError: it lies outside of the repository's folder, by a link.
        """
        parts = tuple(name.split("."))
        if parts[: len(self.package)] != self.package or not all(part.isidentifier() for part in parts):
            return None
        return self._file(self.folder, parts[len(self.package) :], self._is_own)

    def of_library(self, name: str) -> Path | None:
        """The file of a module of transformers that is to be read."""
        parts = tuple(name.split("."))
        if len(parts) < 2 or parts[0] != self.library.name or parts[1] not in _READ or "auto" in parts:
            return None
        if parts[-1].startswith("configuration_") or not all(part.isidentifier() for part in parts):
            return None
        return self._file(self.library, parts[1:], lambda path: path.resolve().is_relative_to(self.library))

    def _file(self, root: Path, parts: tuple[str, ...], is_inside: Callable[[Path], bool]) -> Path | None:
        if not parts:
            return None
        for path in (root.joinpath(*parts[:-1], f"{parts[-1]}.py"), root.joinpath(*parts, "__init__.py")):
            if path.is_file():
                if not is_inside(path):
                    raise ReadingError(f"{path.name} is a link that leaves the repository's folder")
                return path
        return None

    def _is_own(self, path: Path) -> bool:
        real = path.resolve()
        return real.is_relative_to(self.root) or self._is_cached(real)

    def _is_cached(self, real: Path) -> bool:
        """Whether the folder is one of the hub's cache, whose names are links to the blobs beside it."""
        return self.folder.parent.name == "snapshots" and real.parent == self.root.parents[1] / "blobs"

    def tree(self, path: Path) -> ast.Module:
        """The syntax tree of a file.

        Raises:
            ReadingError: it is too large, or no Python.
        """
        if path not in self._trees:
            if len(self._trees) >= MAX_FILES:
                raise ReadingError("the repository's own code is in more files than any model needs")
            self._trees[path] = _parsed(path)
        return self._trees[path]


def _parsed(path: Path) -> ast.Module:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FILE:
            raise ReadingError(f"{path.name} is larger than any model's code")
        with tokenize.open(path) as file:
            tree = parsed(file.read())
    except OSError as error:
        raise ReadingError(f"{path.name} cannot be opened: {error.strerror}") from error
    except (SyntaxError, UnicodeDecodeError):
        tree = None  # its first lines name no encoding that there is, or another than it has
    if tree is None:
        raise ReadingError(f"{path.name} is no Python that can be read")
    return tree
