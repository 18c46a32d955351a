"""Show text that archlint did not write (names, exceptions): safe for a terminal, on one line, and short."""

from __future__ import annotations

import re

_SENTENCE_END = re.compile(r"(?<=\S\S[.!?])\s+(?=[A-Z])")
_CHILD = re.compile(r"\(\s+\(\w+\): ")
"""What begins a printed module that has children: ``(`` and the first child's name."""


def visible(text: str) -> str:
    r"""``text`` with every character that does not print spelled out (``\x1b``, ``\n``, ``\u202e``)."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def one_line(text: str) -> str:
    """``text`` on a single line: :func:`visible`, with each stretch of white space as one space."""
    return visible(" ".join(text.split()))


def clip(text: str, length: int) -> str:
    """:func:`one_line`, cut behind a word with ``…`` where it is longer than ``length`` characters."""
    line = one_line(text)
    if len(line) <= length:
        return line
    start, _, _ = line[: length - 1].rpartition(" ")
    return (start or line[: length - 2]).rstrip(" ,;:.") + " …"


def gist(message: str, length: int) -> str:
    """The first sentence of an exception's message, without the printed modules in it, clipped to ``length``."""
    first, *others = _SENTENCE_END.split(_without_modules(message).strip())
    return clip(f"{first} …" if others else first, length)


def _without_modules(message: str) -> str:
    while printed := _CHILD.search(message):
        end = _closing(message, printed.start())
        message = f"{message[: printed.start()]}(…){message[end:]}"
    return message


def _closing(text: str, start: int) -> int:
    """The place behind the bracket that closes the one at ``start``; the end of the text where none does."""
    depth = 0
    for place in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if depth == 0:
            return place + 1
    return len(text)
