"""What differs between stacks, in sentences."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from archlint.core.finding import Severity
from archlint.matrix.comparing import Cell, Matrix, Row, Trace
from archlint.matrix.naming import Names
from archlint.report.quoting import one_line, visible
from archlint.report.wording import plural


@dataclass(frozen=True)
class Sentence:
    """What is said of a source: a label, what differs, and in more words what that is."""

    label: str
    text: str
    detail: str = ""


def stand(cell: Cell) -> str:
    """A cell in a word or two: ``1 error, 2 warnings``."""
    if cell.report is None or cell.report.model is None:
        return "not checked"
    severe = (Severity.ERROR, Severity.WARNING)
    parts = [plural(count, severity.value) for severity in severe if (count := cell.count(severity))]
    if not cell.checked:
        parts.append("not all checked")
    return ", ".join(parts) or "clean"


def sentences(matrix: Matrix, row: Row) -> list[Sentence]:
    """With which stacks a source works, what could not be checked, and which findings not all of them have."""
    names = Names(matrix.outcomes)
    return [_verdict(row, names, matrix.breaking), *_unchecked(matrix, row, names), *_differences(row, names)]


def _verdict(row: Row, names: Names, breaking: Severity) -> Sentence:
    """With which stacks it works."""
    works, breaks, unknown = _sorted(row)
    good, bad = ("works", "breaks") if breaking is Severity.ERROR else ("passes", "fails")
    codes = _codes(row, breaks, breaking)
    if not works and not breaks:
        return Sentence("stacks", "not checked, or not wholly, with any of them")
    if not breaks:
        return Sentence("stacks", f"{good} with {names.together(works)}")
    if not works:
        return Sentence("stacks", f"{bad} with {names.together(breaks)}: {codes}")
    axis = names.axis(works, breaks)
    rest = [*breaks, *unknown]
    ranged = names.ranged(works, rest, axis) if names.axis(works, rest) == axis else names.listed(works, axis)
    tried = " of those tried" if ranged[0] in "≥≤" else ""
    package = f"{axis} " if axis else ""
    return Sentence("stacks", f"{good} with {package}{ranged}{tried}, {bad} with {names.listed(breaks, axis)}: {codes}")


def _sorted(row: Row) -> tuple[list[int], list[int], list[int]]:
    """Numbers of the stacks that a source works with, that it breaks with, and of which neither is known."""
    cells = list(enumerate(row.cells))
    works = [number for number, cell in cells if cell.works]
    breaks = [number for number, cell in cells if cell.fails]
    return works, breaks, [number for number, cell in cells if not cell.works and not cell.fails]


def _codes(row: Row, numbers: Collection[int], breaking: Severity) -> str:
    found = (finding for number in numbers for finding in row.cells[number].findings)
    codes = {finding.code for finding in found if finding.severity.rank <= breaking.rank}
    return visible(", ".join(sorted(codes)))


def _unchecked(matrix: Matrix, row: Row, names: Names) -> Iterator[Sentence]:
    """What of the source was not checked, once for all stacks where it is the same; a whole stack is told above."""
    reasons: dict[str, list[int]] = {}
    for number, (cell, outcome) in enumerate(zip(row.cells, matrix.outcomes, strict=True)):
        if cell.reason is not None and cell.reason != outcome.reason:
            reasons.setdefault(one_line(cell.reason), []).append(number)
    for reason, numbers in reasons.items():
        yield Sentence("unchecked", f"with {names.together(numbers)}", reason)


def _differences(row: Row, names: Names) -> Iterator[Sentence]:
    codes: dict[str, list[Trace]] = {}
    for trace in row.traces:
        codes.setdefault(trace.code, []).append(trace)
    for traces in codes.values():
        if any(row.differs(trace) for trace in traces):
            yield _difference(row, traces, names)


def _difference(row: Row, traces: Sequence[Trace], names: Names) -> Sentence:
    """How one rule's findings differ: how bad they are, or else where they are."""
    first = traces[0]
    title = f"{visible(first.code)} {visible(first.name)}"
    by_severity: dict[Severity | None, list[int]] = {}
    for number, cell in enumerate(row.cells):
        found = [trace.severities[number] for trace in traces if trace.severities[number] is not None]
        worst = min((one for one in found if one is not None), key=lambda one: one.rank, default=None)
        if worst is not None or cell.checked:
            by_severity.setdefault(worst, []).append(number)
    detail = one_line(first.message)
    if len(by_severity) == 1:
        return Sentence(first.worst.value, f"{title} {_moved(row, traces, names)}", detail)
    absent = by_severity.pop(None, [])
    known = [number for numbers in by_severity.values() for number in numbers] + absent
    parts, said = [], ""
    for severity, numbers in sorted([*by_severity.items(), (None, absent)], key=lambda item: _rank(item[0])):
        if numbers:
            axis = names.axis(numbers, [number for number in known if number not in numbers])
            package = f"{axis} " if axis and axis != said else ""
            said = axis or ""
            word = "not " if severity is None else f"{severity.value} " if len(by_severity) > 1 else ""
            parts.append(f"{word}with {package}{names.listed(numbers, axis, 'and' if severity else 'or')}")
    colon = ":" if len(by_severity) > 1 else ""
    return Sentence(first.worst.value, f"{title}{colon} {', '.join(parts)}", detail)


def _rank(severity: Severity | None) -> int:
    return len(Severity) if severity is None else severity.rank


def _moved(row: Row, traces: Sequence[Trace], names: Names) -> str:
    """Where findings are which all stacks have, though not at the same sites."""
    everywhere = {trace for trace in traces if not row.differs(trace)}
    groups: dict[frozenset[Trace], list[int]] = {}
    for number in range(len(row.cells)):
        here = frozenset(trace for trace in traces if trace.severities[number] is not None and trace not in everywhere)
        if here or row.cells[number].checked:
            groups.setdefault(here, []).append(number)
    parts = []
    for numbers in groups.values():
        others = [number for group in groups.values() if group is not numbers for number in group]
        axis = names.axis(numbers, others)
        parts.append(f"{axis + ' ' if axis else ''}{names.listed(numbers, axis)}")
    return f"at other sites with {' than with '.join(parts)}"
