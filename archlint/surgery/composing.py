"""One file of the modules that a patch is written as: their code is what stands in the file, to the letter."""

from __future__ import annotations

import ast
import inspect
import math
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any

_OURS = "archlint"
_LIBRARIES = frozenset({"peft", "torch"})
_WIDTH = 88
"""Columns of a line, as ruff's formatter has them by default."""


def composed(header: str, constants: Mapping[str, tuple[Any, str]], modules: Iterable[ModuleType]) -> str:
    """The text of a Python file: a docstring, imports, constants, and what ``modules`` define.

    Args:
        header: paragraphs; each line fits.
        constants: by name, the value and what it is, for a comment.
        modules: of templates, in the order of what they define; what they import of each other is left out.
    """
    modules = list(modules)
    parts = [_docstring(header.strip()), _imports(modules), "\n".join(_constants(constants, modules))]
    parts += [definition for module in modules for definition in _definitions(module)]
    head = "\n\n".join(parts[:3])
    return "\n\n\n".join([head, *parts[3:]]) + "\n"


def _docstring(text: str) -> str:
    """``text`` between quotes; a raw one where that holds it, so that paths and expressions can be read.

    What does not print is spelled out: the name of a folder may hold anything.
    """
    text = "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode() for char in text
    )
    if "\\" in text and '"""' not in text:
        return f'r"""{text}\n"""'
    escaped = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    return f'"""{escaped}\n"""'


def _constants(constants: Mapping[str, tuple[Any, str]], modules: Iterable[ModuleType]) -> Iterator[str]:
    used = {node.id for module in modules for node in ast.walk(_tree(module)) if isinstance(node, ast.Name)}
    for name, (value, comment) in constants.items():
        if name in used:
            yield f"# {comment}\n{name} = {written(value, before=len(name) + 3)}"


def written(value: Any, indent: int = 0, before: int = 0) -> str:
    """``value`` as ruff would write it, with double quotes and a line for each item where one does not hold all."""
    flat = _flat(value)
    if not isinstance(value, (dict, list, tuple)) or not value or indent + before + len(flat) <= _WIDTH:
        return flat
    space = " " * (indent + 4)
    if isinstance(value, dict):
        lines = [
            f"{space}{_flat(key)}: {written(item, indent + 4, len(_flat(key)) + 3)}," for key, item in value.items()
        ]
        opening, closing = "{}"
    else:
        lines = [f"{space}{written(item, indent + 4, 1)}," for item in value]
        opening, closing = "[]" if isinstance(value, list) else "()"
    return "\n".join([opening, *lines, f"{' ' * indent}{closing}"])


def _flat(value: Any) -> str:
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, float):
        return repr(float(value)) if math.isfinite(value) else f'float("{float(value)}")'
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flat(key)}: {_flat(item)}" for key, item in value.items()) + "}"
    if isinstance(value, tuple):
        return "(" + ", ".join(map(_flat, value)) + (",)" if len(value) == 1 else ")")
    return "[" + ", ".join(map(_flat, value)) + "]" if isinstance(value, list) else repr(value)


def _quoted(text: str) -> str:
    """``text`` in double quotes, but where single ones need fewer escapes."""
    plain = repr(str(text))
    if plain.startswith('"') or text.count('"') > text.count("'"):
        return plain
    inside = plain[1:-1].replace("\\'", "'").replace('"', '\\"')
    return f'"{inside}"'


def _tree(module: ModuleType) -> ast.Module:
    return ast.parse(inspect.getsource(module))


def _imports(modules: Iterable[ModuleType]) -> str:
    plain: set[str] = set()
    named: dict[str, set[str]] = {}
    for module in modules:
        for node in _tree(module).body:
            if isinstance(node, ast.Import):
                plain.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] != _OURS:
                named.setdefault(node.module, set()).update(alias.name for alias in node.names)
    future = [f"from __future__ import {', '.join(sorted(named.pop('__future__', ())))}"]
    groups = [future, [], []]
    for name in sorted(plain):
        groups[1 + (name.partition(".")[0] in _LIBRARIES)].append(f"import {name}")
    for name, what in sorted(named.items()):
        line = f"from {name} import {', '.join(sorted(what, key=_isort))}"
        groups[1 + (name.partition(".")[0] in _LIBRARIES)].append(line)
    return "\n\n".join("\n".join(group) for group in groups if group)


def _isort(name: str) -> tuple[bool, bool, str]:
    """Constants, classes, functions, as ruff sorts them."""
    return not name.isupper(), not name[0].isupper(), name


def _definitions(module: ModuleType) -> Iterator[str]:
    """The classes and functions of ``module``, with their decorators."""
    source = inspect.getsource(module).splitlines()
    for node in _tree(module).body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            yield textwrap.dedent("\n".join(source[first - 1 : node.end_lineno]))
