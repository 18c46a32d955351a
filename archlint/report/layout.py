"""How the full report is laid out: labels in a gutter, prose wrapped behind it, machine text never broken."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.text import Text

GUTTER = 9
_MEASURE = 112
"""Columns that prose takes at most: longer lines are hard to read."""
_LEAST_BODY = 48
"""Columns that a column of prose needs to be readable."""
_WORD = re.compile(r"(?:\(\S+ \S+\)|\S+)(?: …)?\s*")
_FACT = re.compile(r".+?(?: · |$)")
_SEGMENT = re.compile(r"\.?(?:\{[^}]*\}|[^.])+")


@dataclass(frozen=True)
class Row:
    """A label in the gutter and what it labels. Lines are broken between words only, and go on behind the gutter."""

    label: Text
    body: Text
    gutter: int = GUTTER
    hang: int = 0
    """Columns by which the lines after the first stand further in."""
    quoted: bool = False
    """The body quotes what may hold words of any length: on a terminal those are broken too."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        margin = padded(self.label, self.gutter)
        width = min(options.max_width, _MEASURE) - self.gutter - self.hang
        unit = _piece(width) if self.quoted and options.is_terminal else _WORD
        for line in wrap(self.body, width, unit):
            yield _unbroken(Text.assemble(margin, line))
            margin = Text(" " * (self.gutter + self.hang))


@dataclass(frozen=True)
class Entry:
    """A line of a list: label, head and body. Bodies stand in a column behind the heads where there is room."""

    label: Text
    head: Text
    column: int
    """Columns of the longest head."""
    body: Text
    quoted: bool = False
    """As of a :class:`Row`."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Row]:
        gutter = GUTTER + self.column + 2
        if options.max_width - gutter >= _LEAST_BODY:
            yield Row(Text.assemble(padded(self.label, GUTTER), self.head), self.body, gutter, quoted=self.quoted)
        else:
            yield Row(self.label, Text.assemble(self.head, ": ", self.body), hang=2, quoted=self.quoted)


@dataclass(frozen=True)
class Facts:
    """Short facts in a row, broken between facts only."""

    facts: tuple[str, ...]
    style: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        for line in wrap(Text(" · ".join(self.facts), self.style), options.max_width, _FACT):
            yield _unbroken(line[: len(line.plain.removesuffix(" ·"))])


@dataclass(frozen=True)
class Verbatim:
    """Lines to be copied or searched for: they keep their length, whatever the width."""

    body: Text
    gutter: int = 0

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        for line in self.body.split(allow_blank=True):
            yield _unbroken(Text.assemble(" " * self.gutter if line else "", line))


@dataclass(frozen=True)
class Lines:
    """Lines of files: where each is, and in a column behind it what stands there, which is never broken."""

    lines: tuple[tuple[str, Text], ...]
    label: Text = field(default_factory=Text)
    gutter: int = GUTTER

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        margin = padded(self.label, self.gutter)
        column = max((cell_len(place) for place, _ in self.lines), default=0)
        for place, text in self.lines:
            yield _unbroken(Text.assemble(margin, padded(Text(place, "dim"), column), "  ", text))
            margin = Text(" " * self.gutter)


@dataclass(frozen=True)
class Source:
    """Python source to be pasted, written for a width: that of the terminal, or ``widest`` where there is none."""

    write: Callable[[int], str]
    gutter: int = 0
    style: str = ""
    widest: int = sys.maxsize

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Verbatim]:
        room = options.max_width - self.gutter if options.is_terminal else self.widest
        yield Verbatim(Text(self.write(min(room, self.widest)), self.style), self.gutter)


@dataclass(frozen=True)
class Path:
    """A symbolic path behind a label. On a terminal a long one is broken before a dot; elsewhere it stays whole."""

    label: Text
    path: Text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        margin, size = self.label, self.label.cell_len
        room = options.max_width - size if options.is_terminal else self.path.cell_len
        for line in wrap(self.path, room, _SEGMENT):
            yield _unbroken(Text.assemble(margin, line))
            margin = Text(" " * size)


def wrap(text: Text, width: int, unit: re.Pattern[str] = _WORD) -> list[Text]:
    """Break ``text`` between units into lines of at most ``width`` columns; a longer unit stands alone, whole."""
    offsets, used = [], 0
    for word in unit.finditer(text.plain):
        if used and used + cell_len(word.group().rstrip()) > width:
            offsets.append(word.start())
            used = 0
        used += cell_len(word.group())
    lines = list(text.divide(offsets))
    for line in lines:
        line.rstrip()
    return lines


def _piece(width: int) -> re.Pattern[str]:
    """Words as of ``_WORD``, and pieces of those that are longer than a line."""
    longest = max(1, width - len(" …"))
    return re.compile(rf"\S{{1,{longest}}}(?: …)?\s*")


def padded(label: Text, width: int) -> Text:
    """``label`` with spaces behind it up to ``width`` columns."""
    return Text.assemble(label, " " * max(0, width - label.cell_len))


def draw(content: RenderableType, *, width: int, terminal: bool = False, color: bool = False) -> str:
    """``content`` as text for a page of ``width`` columns, with escape codes only where ``color`` is wanted."""
    page = io.StringIO()
    console = Console(
        file=page,
        width=width,
        force_terminal=terminal,
        force_jupyter=False,
        color_system="auto" if color else None,
        legacy_windows=False,
        markup=False,
        emoji=False,
        highlight=False,
    )
    console.print(content, soft_wrap=True)
    return page.getvalue()


def _unbroken(line: Text) -> Text:
    line.no_wrap = True
    line.overflow = "ignore"
    return line
