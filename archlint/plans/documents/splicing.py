"""Changes to a text at known places, made all at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

Splice = tuple[int, int, str]
"""What stands between two offsets is replaced by a text."""


def spliced(text: str, splices: Iterable[Splice]) -> str:
    """``text`` with each of ``splices`` made; those at one place keep their order."""
    parts: list[str] = []
    at = 0
    for start, end, new in sorted(splices, key=lambda splice: splice[:2]):
        parts += [text[at:start], new]
        at = max(at, end)
    return "".join([*parts, text[at:]])


class Lines:
    """The lines of a text: which one an offset is on, and where it begins and ends."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts = [0, *(offset + 1 for offset, sign in enumerate(text) if sign == "\n")]

    @property
    def newline(self) -> str:
        """What ends a line: that of the first one."""
        return "\r\n" if self._text.partition("\n")[0].endswith("\r") else "\n"

    def number(self, offset: int) -> int:
        """The line of ``offset``, from 1."""
        return bisect_right(self._starts, offset)

    def start(self, offset: int) -> int:
        """Where the line of ``offset`` begins."""
        return self._starts[self.number(offset) - 1]

    def first(self, number: int) -> int:
        """Where the line ``number`` begins."""
        return self._starts[number - 1]

    def end(self, offset: int) -> int:
        """Where the line of ``offset`` ends, before what ends it."""
        stop = self._text.find("\n", offset)
        stop = len(self._text) if stop < 0 else stop
        return stop - 1 if self._text[stop - 1 : stop] == "\r" and stop > offset else stop

    def after(self, offset: int) -> int:
        """Where the line behind that of ``offset`` begins."""
        stop = self._text.find("\n", offset)
        return len(self._text) if stop < 0 else stop + 1

    def margin(self, offset: int) -> str:
        """The blanks that the line of ``offset`` begins with."""
        line = self._text[self.start(offset) : offset]
        return line[: len(line) - len(line.lstrip(" \t"))]
