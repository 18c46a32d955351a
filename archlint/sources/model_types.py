"""The model types that the installed transformers knows, without importing it: that would import torch."""

from __future__ import annotations

import ast
import functools
import re
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from archlint.versions import version

_MAPPING = "CONFIG_MAPPING_NAMES"
_STATEMENT = re.compile(rf"^{_MAPPING}\b.*(?:\n(?:[ \t)\]}}].*)?(?=\n|\Z))*", re.MULTILINE)
"""From the name at the beginning of a line to the next line that is neither empty, indented nor a closing bracket."""
_FILES = ("models/auto/auto_mappings.py", "models/auto/configuration_auto.py")


def model_types() -> frozenset[str]:
    """Names that transformers has a configuration class for.

    Where transformers is already loaded this includes what was registered with it.
    """
    loaded = sys.modules.get("transformers.models.auto.configuration_auto")
    if loaded is not None and hasattr(loaded, "CONFIG_MAPPING"):
        return frozenset(loaded.CONFIG_MAPPING.keys())
    return _written_types()


def find(name: str) -> str | None:
    """The model type of this name; case does not matter, nor whether words are joined by ``-`` or ``_``."""
    known = model_types()
    if name in known:
        return name
    return next((known_name for known_name in sorted(known) if _plain(known_name) == _plain(name)), None)


def transformers_version() -> str | None:
    """The installed version of transformers."""
    return version("transformers")


def _plain(name: str) -> str:
    return name.casefold().replace("-", "_")


@functools.cache
def _written_types() -> frozenset[str]:
    spec = find_spec("transformers")
    folders = spec.submodule_search_locations if spec is not None else None
    files = (Path(folder, file) for folder in folders or () for file in _FILES)
    return frozenset(name for file in files if file.is_file() for name in _types_in(file))


def _types_in(file: Path) -> Iterator[str]:
    for statement in _statements(file.read_text(encoding="utf-8")):
        if _fills_mapping(statement):
            for node in ast.walk(statement):
                if isinstance(node, ast.Dict):
                    yield from filter(None, map(_text, node.keys))
                elif isinstance(node, ast.Tuple) and len(node.elts) == 2 and (name := _text(node.elts[0])):
                    yield name


def _statements(source: str) -> Iterator[ast.stmt]:
    """The statements of a module that begin with the mapping, or all of them where these cannot be told apart.

    The files hold a dozen other mappings, so that this is several times as fast as to parse them whole.
    """
    try:
        for found in _STATEMENT.finditer(source):
            yield from ast.parse(found[0]).body
    except SyntaxError:
        yield from ast.parse(source).body


def _fills_mapping(statement: ast.stmt) -> bool:
    """Whether it assigns the mapping, or updates it."""
    if isinstance(statement, (ast.Assign, ast.AnnAssign)):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        return any(isinstance(target, ast.Name) and target.id == _MAPPING for target in targets)
    call = statement.value if isinstance(statement, ast.Expr) else None
    function = call.func if isinstance(call, ast.Call) else None
    return (
        isinstance(function, ast.Attribute)
        and function.attr == "update"
        and isinstance(function.value, ast.Name)
        and function.value.id == _MAPPING
    )


def _text(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
