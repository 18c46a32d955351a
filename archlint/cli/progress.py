"""What archlint is doing, on a terminal's standard error only."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

from archlint.report.quoting import one_line


@contextlib.contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """A spinner for a block; yields what tells it the stage that begins. Without a terminal nothing is shown."""
    if not sys.stderr.isatty():
        yield lambda stage: None
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(file=sys.stderr, highlight=False)
    with console.status(Text("starting")) as status:
        yield lambda stage: status.update(Text(one_line(stage), no_wrap=True, overflow="ellipsis"))
