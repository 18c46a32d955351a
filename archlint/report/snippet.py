"""LoraConfig arguments as Python source: valid, short lines, ready to paste."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

WIDTH = 88
_INDENT = "    "


def lora_config(lora: Mapping[str, Any]) -> str:
    """``LoraConfig(…)``, one argument a line, for arguments that are JSON values."""
    if not lora:
        return "LoraConfig()"
    lines = ["LoraConfig("]
    for name, value in lora.items():
        lines += _argument(name, value)
    return "\n".join([*lines, ")"])


def assignment(name: str, value: Any) -> str:
    """One argument on a line of its own, without the comma."""
    return f"{name}={literal(value)}"


def literal(value: Any) -> str:
    """A JSON value as a Python expression; a string with backslashes is raw where that can be written."""
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{literal(key)}: {literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (set, frozenset)):
        return literal(sorted(value))
    if isinstance(value, Sequence):
        return "[" + ", ".join(map(literal, value)) + "]"
    return repr(value)


def _string(text: str) -> str:
    if text.isprintable() and '"' not in text:
        if "\\" not in text:
            return f'"{text}"'
        if not text.endswith("\\"):
            return f'r"{text}"'
    return repr(text)


def _argument(name: str, value: Any) -> Iterator[str]:
    line = f"{_INDENT}{assignment(name, value)},"
    if len(line) <= WIDTH:
        yield line
    elif isinstance(value, str):
        yield f"{_INDENT}{name}=("
        yield from (f"{_INDENT * 2}{_string(piece)}" for piece in _pieces(value))
        yield f"{_INDENT}),"
    elif isinstance(value, Mapping):
        yield f"{_INDENT}{name}={{"
        yield from _filled(f"{literal(key)}: {literal(item)}" for key, item in value.items())
        yield f"{_INDENT}}},"
    elif isinstance(value, Sequence):
        yield f"{_INDENT}{name}=["
        yield from _filled(map(literal, value))
        yield f"{_INDENT}],"
    else:
        yield line


def _filled(items: Iterable[str]) -> Iterator[str]:
    margin, line = _INDENT * 2, ""
    for item in items:
        longer = f"{line} {item}," if line else f"{margin}{item},"
        if line and len(longer) > WIDTH:
            yield line
            longer = f"{margin}{item},"
        line = longer
    yield line


def _pieces(text: str) -> Iterator[str]:
    """Cut a regular expression, behind a bar or a dot where there is one: put together it is the same string."""
    room = WIDTH - 2 * len(_INDENT) - len('r""')
    while len(text) > room:
        ends = (text.rfind(mark, 0, room) + len(mark) for mark in ("|", r"\."))
        end = max((end for end in ends if end > 2), default=room)
        yield text[:end]
        text = text[end:]
    yield text
