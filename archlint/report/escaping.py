"""Make text from configurations and exceptions safe to show: no terminal escapes, no hidden direction marks."""

from __future__ import annotations


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
