"""LoraConfig arguments as Python source: valid, short lines, ready to paste."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

WIDTH = 88
_INDENT = "    "


def lora_config(lora: Mapping[str, Any], width: int = WIDTH) -> str:
    """``LoraConfig(…)``, one argument a line, for arguments that are JSON values.

    A value that is longer than a line of ``width`` columns takes several.
    """
    return call("LoraConfig", lora, width)


def call(name: str, arguments: Mapping[str, Any], width: int = WIDTH) -> str:
    """The same for another class."""
    if not arguments:
        return f"{name}()"
    lines = [f"{name}("]
    for name, value in arguments.items():
        lines += _argument(name, value, _INDENT, width)
    return "\n".join([*lines, ")"])


def argument(name: str, value: Any, width: int) -> str:
    """One argument without its comma, on several lines where one of ``width`` columns has no room for it."""
    return "\n".join(_argument(name, value, "", width)).removesuffix(",")


def assignment(name: str, value: Any) -> str:
    """One argument on a line of its own, without the comma; what is no name of one is given in a dictionary."""
    return f"{name}={literal(value)}" if name.isidentifier() else f"**{literal({name: value})}"


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


def _argument(name: str, value: Any, margin: str, width: int) -> Iterator[str]:
    line = f"{margin}{assignment(name, value)},"
    deeper = margin + _INDENT
    if len(line) <= width or not name.isidentifier():
        yield line
    elif isinstance(value, str):
        yield f"{margin}{name}=("
        yield from (f"{deeper}{_string(piece)}" for piece in _pieces(value, width - len(deeper) - len('r""')))
        yield f"{margin}),"
    elif isinstance(value, Mapping):
        yield f"{margin}{name}={{"
        yield from _filled((f"{literal(key)}: {literal(item)}" for key, item in value.items()), deeper, width)
        yield f"{margin}}},"
    elif isinstance(value, Sequence):
        yield f"{margin}{name}=["
        yield from _filled(map(literal, value), deeper, width)
        yield f"{margin}],"
    else:
        yield line


def _filled(items: Iterable[str], margin: str, width: int) -> Iterator[str]:
    line = ""
    for item in items:
        longer = f"{line} {item}," if line else f"{margin}{item},"
        if line and len(longer) > width:
            yield line
            longer = f"{margin}{item},"
        line = longer
    yield line


def _pieces(text: str, room: int) -> Iterator[str]:
    """Cut a regular expression, behind a bar or a dot where there is one: put together it is the same string."""
    while len(text) > room:
        ends = (text.rfind(mark, 0, room) + len(mark) for mark in ("|", r"\."))
        end = max((end for end in ends if end > 2), default=room)
        yield text[:end]
        text = text[end:]
    yield text
