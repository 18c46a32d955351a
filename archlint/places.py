"""The files that define a model's classes, and whether they are what they were."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archlint.core.blueprint import Blueprint

_COPIES = "transformers_modules"
"""The package of transformers' copies of repositories' own code."""


class Places:
    """What is looked at of the files around one model."""

    def __init__(self) -> None:
        self._imported: set[str] = set()

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
                    self._imported.add(file)

    def digests(self, blueprint: Blueprint | None) -> dict[str, str] | None:
        """The files of the classes of ``blueprint``, and what else was imported for it, with digests of the content.

        ``None`` where one cannot be read, as of a class that was typed in.
        """
        types = {site.type for site in (() if blueprint is None else blueprint.sites)}
        if any(place.file is None for place in types):
            return None
        files = sorted({*self._imported, *(place.file for place in types if place.file is not None)})
        digests = {file: digest for file in files if (digest := _digest(file)) is not None}
        return digests if len(digests) == len(files) else None

    def hold(self, digests: Mapping[str, str]) -> bool:
        """Whether the files are what they were."""
        return all(_digest(file) == digest for file, digest in digests.items())


def _digest(file: str) -> str | None:
    for root in [""] if Path(file).is_absolute() else sys.path:  # those of installed packages are named from there
        with suppress(OSError):
            return blake2b(Path(root, file).read_bytes(), digest_size=16).hexdigest()
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
