"""What archlint is doing, on a terminal's standard error only."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from archlint.report.quoting import one_line

if TYPE_CHECKING:
    from rich.text import Text

_BESIDE = 3
"""Columns for the spinner, the blank behind it and the last one, where some terminals wrap already."""


@contextlib.contextmanager
def progress() -> Iterator[Callable[[str, str], None]]:
    """A spinner for a block; yields what tells it a source and the stage that begins. Only a terminal is shown it."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda source, stage: None
        return
    from rich.console import Console

    console = Console(file=sys.stderr, highlight=False)
    with console.status("starting") as status:
        yield lambda source, stage: status.update(_line(source, stage, console.width - _BESIDE))


def _line(source: str, stage: str, room: int) -> Text:
    """``source: stage`` in at most ``room`` columns, the source shortened in its middle."""
    from rich.cells import cell_len
    from rich.text import Text

    end = f": {one_line(stage)}"
    line = Text(_shortened(one_line(source), room - cell_len(end)) + end)
    line.truncate(max(room, 1), overflow="ellipsis")
    return line


def _shortened(text: str, room: int) -> str:
    from rich.cells import cell_len, set_cell_size

    if cell_len(text) <= room:
        return text
    kept = max(room - 1, 0)
    start, end = set_cell_size(text, kept // 2), set_cell_size(text[::-1], kept - kept // 2)[::-1]
    return f"{start}…{end}"
