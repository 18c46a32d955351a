"""Tables of a scan: rules, families, and time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from archlint.core.finding import Severity
from archlint.report.quoting import one_line
from archlint.scanning.told import CLEAN, FINDINGS, UNCHECKED

if TYPE_CHECKING:
    from rich.table import Table

    from archlint.scanning.scan import Progress

_NO_FAMILY = "(not loaded)"


def tables(progress: Progress, names: Mapping[str, str], jobs: int) -> Iterator[Table]:
    """What a scan came to.

    Args:
        progress: at its end.
        names: of rules, by their codes.
        jobs: how many ran at a time.
    """
    yield _rules(progress, names)
    yield _families(progress)
    yield _times(progress, jobs)


def _rules(progress: Progress, names: Mapping[str, str]) -> Table:
    severities = [severity.value for severity in Severity]
    table = _table("rule", *severities, title="models by rule, and the worst that it found there")
    for code, counts in sorted(progress.tally.rules.items()):
        name = f"{code} {names[code]}" if code in names else code
        table.add_row(_plain(name), *(str(counts[severity] or "") for severity in severities))
    return table


def _families(progress: Progress) -> Table:
    table = _table("family", "models", "clean", "findings", "not checked", title="models by model type")
    families = progress.tally.families.items()
    for family, counts in sorted(families, key=lambda one: (-one[1].total(), one[0])):
        row = [counts.total(), *(counts[status] or "" for status in (CLEAN, FINDINGS, UNCHECKED))]
        table.add_row(_plain(family or _NO_FAMILY), *map(str, row))
    return table


def _times(progress: Progress, jobs: int) -> Table:
    table = _table("time", "", title="time")
    rows = {
        "models": f"{progress.tally.models}",
        "run": f"{progress.run}",
        "alike, not run": f"{progress.alike}",
        "known from the cache": f"{progress.cached}",
        "there already": f"{progress.resumed}",
        "elapsed": f"{progress.elapsed:.1f} s, {jobs} at a time",
        "rate": f"{progress.rate:.2f} models a second",
        "processor": f"{progress.seconds:.1f} s, {progress.seconds / max(progress.run, 1):.2f} s a model",
    }
    for row in rows.items():
        table.add_row(*row)
    return table


def _table(first: str, *others: str, title: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, show_header=first != "time"
    )
    table.add_column(first, overflow="fold")
    for column in others:
        table.add_column(column, justify="right" if column else "left")
    return table


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(one_line(text))
