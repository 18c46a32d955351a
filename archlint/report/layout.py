"""How the full report is laid out: labels in a gutter, prose wrapped behind it, machine text never broken."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.text import Text

GUTTER = 11
_MEASURE = 112
"""Columns that prose takes at most: longer lines are hard to read."""
_WORD = re.compile(r"\S+\s*")
_SEGMENT = re.compile(r"\.?(?:\{[^}]*\}|[^.])+")


@dataclass(frozen=True)
class Row:
    """A label in the gutter and what it labels. Lines are broken between words only, and go on behind the gutter."""

    label: Text
    body: Text
    gutter: int = GUTTER

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        margin = self.label.copy()
        margin.pad_right(self.gutter - margin.cell_len)
        for line in wrap(self.body, min(options.max_width, _MEASURE) - self.gutter):
            yield _unbroken(Text.assemble(margin, line))
            margin = Text(" " * self.gutter)


@dataclass(frozen=True)
class Verbatim:
    """Lines to be copied or searched for: they keep their length, whatever the width."""

    body: Text
    gutter: int = 0

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        for line in self.body.split(allow_blank=True):
            yield _unbroken(Text.assemble(" " * self.gutter if line else "", line))


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
