"""Which values a field of a PEFT config takes, told from its annotation in the source.

An annotation says less than the code that uses the value, and other versions of PEFT have others. So 8.0 is a whole
number, 1 is true, ``None`` and every string that stands for a ``Literal`` are taken, and what is no plain type is not
judged.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from archlint.plans.document import is_countable


@dataclass(frozen=True, slots=True)
class Sort:
    """A sort of values, in words for one and for many, and what tells whether a value is of it."""

    one: str
    many: str
    takes: Callable[[Any], bool]


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return is_countable(value) if isinstance(value, int) else math.isfinite(value)


_NUMBER = Sort("a number", "numbers", _is_number)
_LIST = Sort("a list", "lists", lambda value: isinstance(value, list))
_PLAIN = {
    "bool": Sort("true or false", "truth values", lambda value: value in (0, 1)),
    "int": Sort("a whole number", "whole numbers", lambda value: _is_number(value) and value == int(value)),
    "float": _NUMBER,
    "str": Sort("a string", "strings", lambda value: isinstance(value, str)),
    "dict": Sort("a mapping", "mappings", lambda value: isinstance(value, dict)),
    "list": _LIST,
    "tuple": _LIST,
}
_SCALE = "alpha"
"""In the name of a field that PEFT calls a whole number and only multiplies with: fractions are in use."""
_PATTERN = "layers_pattern"
"""Called a string by some tuners, all of which take a list as well."""


def lacking(name: str, annotation: ast.expr, value: Any) -> str | None:
    """What the field ``name`` takes, in words, where ``value`` is nothing of it."""
    sorts = _sorts(annotation)
    if sorts is None or value is None:
        return None
    if _SCALE in name:
        sorts = [_NUMBER if sort is _PLAIN["int"] else sort for sort in sorts]
    if name == _PATTERN:
        sorts = [*sorts, _list_of([_PLAIN["str"]])]
    if any(sort.takes(value) for sort in sorts):
        return None
    ordered = sorted(dict.fromkeys(sort.one for sort in sorts), key=lambda words: words.startswith("a list"))
    return " or ".join(ordered)


def _sorts(annotation: ast.expr) -> list[Sort] | None:
    """The sorts that an annotation allows besides ``None``; ``None`` where it allows something that is not judged."""
    alternatives = _alternatives(annotation)
    if alternatives is None:
        sort = _sort(annotation)
        return None if sort is None else [sort]
    found: list[Sort] = []
    for alternative in alternatives:
        if isinstance(alternative, ast.Constant) and alternative.value is None:
            continue
        inner = _sorts(alternative)
        if inner is None:
            return None
        found += inner
    return found


def _alternatives(annotation: ast.expr) -> list[ast.expr] | None:
    """The members of a union; ``None`` where it is none."""
    if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
        return [annotation.left, annotation.right]
    if not isinstance(annotation, ast.Subscript) or not isinstance(annotation.value, ast.Name):
        return None
    if annotation.value.id == "Optional":
        return [annotation.slice]
    if annotation.value.id == "Union":
        return list(annotation.slice.elts) if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
    return None


def _sort(annotation: ast.expr) -> Sort | None:
    if isinstance(annotation, ast.Name):
        return _PLAIN.get(annotation.id)
    if not isinstance(annotation, ast.Subscript) or not isinstance(annotation.value, ast.Name):
        return None
    kind, inside = annotation.value.id, annotation.slice
    if kind == "Literal":
        values = inside.elts if isinstance(inside, ast.Tuple) else [inside]
        texts = all(isinstance(value, ast.Constant) and isinstance(value.value, str) for value in values)
        return _PLAIN["str"] if texts else None
    if kind == "list":
        return _list_of(_sorts(inside))
    return _PLAIN.get(kind)  # what is in a mapping or a tuple is not judged


def _list_of(items: list[Sort] | None) -> Sort:
    if items is None:
        return _LIST

    def takes(value: Any) -> bool:
        return isinstance(value, list) and all(any(sort.takes(item) for sort in items) for item in value)

    words = " or ".join(sort.many for sort in items)
    return Sort(f"a list of {words}", f"lists of {words}", takes)
