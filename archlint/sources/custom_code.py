"""The code files that a configuration's ``auto_map`` names. They are found here, neither read nor run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from archlint.sources.model_types import model_types
from archlint.syntax import parsed

_REFERENCE = re.compile(r"(?:(?P<repository>.+)--)?(?P<module>[\w-]+(?:\.[\w-]+)*)\.\w+")


@dataclass(frozen=True, slots=True)
class CodeFile:
    """A Python file that ``auto_map`` names: its path, and its repository where that is another one."""

    file: str
    repository: str | None = None


def files(config: Mapping[str, Any]) -> tuple[CodeFile, ...]:
    """The files that ``auto_map`` names, each once.

    A reference is ``module.Class`` or ``organisation/repository--module.Class``; an entry may list several.
    What is neither, such as a path that leads out of the repository, is left out.
    """
    auto_map = config.get("auto_map")
    entries = auto_map.values() if isinstance(auto_map, Mapping) else ()
    references = (item for entry in entries for item in (entry if isinstance(entry, list) else [entry]))
    found: dict[CodeFile, None] = {}
    for reference in references:
        if isinstance(reference, str) and (parts := _REFERENCE.fullmatch(reference)):
            found[CodeFile(parts["module"].replace(".", "/") + ".py", parts["repository"])] = None
    return tuple(found)


def is_needed(config: Mapping[str, Any]) -> bool:
    """Whether ``auto_map`` names code, and transformers does not have the architecture itself."""
    model_type = config.get("model_type")
    return bool(config.get("auto_map")) and not (isinstance(model_type, str) and model_type in model_types())


def folder(config: Mapping[str, Any], *candidates: Path) -> Path:
    """The first of ``candidates`` that holds a file which ``auto_map`` names, else the last one."""
    named = [code.file for code in files(config) if code.repository is None]
    return next((place for place in candidates if any((place / file).is_file() for file in named)), candidates[-1])


def relative_imports(source: str, file: str) -> Iterator[str]:
    """Files that the Python ``source`` of ``file`` may import from its own repository.

    ``from . import x`` gives ``x.py``, whether ``x`` is a module or a name of the package. Where ``source``
    is not Python there are none.
    """
    tree = parsed(source)
    for node in () if tree is None else ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            parents = PurePosixPath(file).parents
            if node.level > len(parents):
                continue
            base = parents[node.level - 1]
            modules = [node.module] if node.module else [alias.name for alias in node.names]
            for module in modules:
                yield f"{base.joinpath(*module.split('.'))}.py"
