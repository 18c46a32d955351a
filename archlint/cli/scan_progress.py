"""How far a scan is: live on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from archlint.cli.output import is_terminal, notice
from archlint.report.quoting import one_line

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live
    from rich.text import Text

    from archlint.scanning.scan import Scan

_REDRAWN = 0.25
"""Seconds between two pictures on a terminal."""
_TOLD = 30.0
"""Seconds between two lines elsewhere."""
_BAR = 24
"""Columns of the bar."""
_NAMES = 8
"""Models of those that run which are named."""


class Shown:
    """Shows how far ``scan`` is, whenever it is told that time has passed.

    Args:
        scan: what is shown.
        live: the part of a terminal for it; ``None`` for lines.
        list: gives what is to be scanned once more, to be counted; ``None`` where it can be read once.
    """

    def __init__(self, scan: Scan, live: Live | None, list: Callable[[], Iterator[Any]] | None) -> None:
        self._scan = scan
        self._live = live
        self._total: int | None = None
        self._again = time.monotonic() + (_REDRAWN if live is not None else _TOLD)
        if list is not None:
            threading.Thread(target=self._count, args=(list,), daemon=True).start()

    def tick(self) -> None:
        """Show it, if it is time."""
        now = time.monotonic()
        if now < self._again:
            return
        if self._live is not None:
            self._live.update(self._picture(), refresh=True)
            self._again = now + _REDRAWN
        else:
            notice(f"{self._done()}: {self._scan.progress.tally}")
            self._again = now + _TOLD

    def end(self) -> None:
        """Take it off the terminal."""
        if self._live is not None:
            self._live.stop()

    def _count(self, list: Callable[[], Iterator[Any]]) -> None:
        with contextlib.suppress(Exception):  # who reads the list says what is wrong with it
            self._total = sum(1 for _ in list())

    def _done(self) -> str:
        """``120 of 804, 2.1/s, 0:05:20 left``."""
        progress = self._scan.progress
        done, total = progress.tally.models + progress.twice, self._total
        said = f"{done} of {total}" if total is not None else f"{done}"
        if progress.rate:
            said += f", {progress.rate:.1f}/s"
            if total is not None and total >= done:
                said += f", {_clock((total - done) / progress.rate)} left"
        return said

    def _picture(self) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        progress = self._scan.progress
        first = Table.grid(padding=(0, 1))
        done = progress.tally.models + progress.twice
        first.add_row(ProgressBar(self._total, done, width=_BAR, pulse=self._total is None), _text(self._done()))
        running = self._scan.running()
        lines = [str(progress.tally), *(f"  {one_line(name)}" for name in running[:_NAMES])]
        if len(running) > _NAMES:
            lines.append(f"  and {len(running) - _NAMES} more")
        return Group(first, *map(_text, lines))


@contextlib.contextmanager
def shown(scan: Scan, list: Callable[[], Iterator[Any]] | None, *, to_file: bool = False) -> Iterator[Shown]:
    """What shows how far ``scan`` is, on standard error: live on a terminal that results do not go to.

    Args:
        scan: what is going on.
        list: gives its list once more, to be counted; ``None`` where it can be read once.
        to_file: whether results go to a file, and not to standard output.
    """
    if sys.stderr is None or not sys.stderr.isatty() or (is_terminal() and not to_file):
        yield Shown(scan, None, list)
        return
    from rich.console import Console
    from rich.live import Live

    with Live(
        console=Console(file=sys.stderr, highlight=False),
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,  # where results go
        redirect_stderr=False,
    ) as live:
        yield Shown(scan, live, list)


def _text(line: str) -> Text:
    from rich.text import Text

    return Text(line, no_wrap=True, overflow="ellipsis")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
