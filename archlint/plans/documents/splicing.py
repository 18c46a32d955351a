"""Changes to a text at known places, made all at once."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator

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
    """The lines of a text: which one an offset is on, and where it begins and ends.

    ``ends`` is an expression for what ends a line in the syntax of the text: they differ in that.
    """

    def __init__(self, text: str, ends: str = r"\r?\n") -> None:
        self._text = text
        breaks = list(re.finditer(ends, text))
        self._starts = [0, *(found.end() for found in breaks)]
        self._ends = [*(found.start() for found in breaks), len(text)]
        self.newline = breaks[0][0] if breaks else "\n"
        """What ends a line: that of the first one."""

    def number(self, offset: int) -> int:
        """The line of ``offset``, from 1."""
        return bisect_right(self._starts, offset)

    def start(self, offset: int) -> int:
        """Where the line of ``offset`` begins."""
        return self._starts[self.number(offset) - 1]

    def first(self, number: int) -> int:
        """Where the line ``number`` begins; behind the last line, where the text ends."""
        return self._starts[number - 1] if number <= len(self._starts) else len(self._text)

    def end(self, offset: int) -> int:
        """Where the line of ``offset`` ends, before what ends it."""
        return self._ends[self.number(offset) - 1]

    def after(self, offset: int) -> int:
        """Where the line behind that of ``offset`` begins."""
        return self.first(self.number(offset) + 1)

    def __iter__(self) -> Iterator[str]:
        """The lines, without what ends them."""
        return map(self._text.__getitem__, map(slice, self._starts, self._ends))

    def margin(self, offset: int) -> str:
        """The blanks that the line of ``offset`` begins with."""
        line = self._text[self.start(offset) : offset]
        return line[: len(line) - len(line.lstrip(" \t"))]
