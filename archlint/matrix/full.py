"""``--format full``: the table of sources and stacks, and below it what differs, to be read in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.text import Text

from archlint import __version__
from archlint.matrix.comparing import Matrix, Outcome
from archlint.matrix.naming import CORE
from archlint.matrix.telling import Sentence, sentences, stand
from archlint.report import wording
from archlint.report.layout import Facts, Row, Verbatim, padded
from archlint.report.quoting import one_line

_GUTTER = 11
_STYLES = {"error": "bold red", "warning": "bold yellow", "unchecked": "bold magenta"}


def render(matrix: Matrix, *, exit_code: int, width: int) -> RenderableType:
    """The matrix for a page of ``width`` columns.

    Args:
        matrix: what was found.
        exit_code: of the command.
        width: for the table, which says numbers where the names of the stacks have no room.
    """
    parts: list[RenderableType] = [Facts(("archlint matrix", f"archlint {__version__}")), ""]
    parts += [*_stacks(matrix), "", Verbatim(_table(matrix, width))]
    for row in matrix.rows:
        parts += ["", Text(one_line(row.source), "bold"), *map(_line, sentences(matrix, row))]
    return Group(*parts, "", Facts((_tally(matrix), f"exit code {exit_code}")))


def _stacks(matrix: Matrix) -> Iterator[Row]:
    """What each stack is made of."""
    present = [outcome for outcome in matrix.outcomes if outcome.versions]
    lost = {package for outcome in matrix.outcomes if not outcome.versions for package in outcome.stack.packages}
    same = [name for name in CORE if name not in lost and len({outcome.versions.get(name) for outcome in present}) == 1]
    label = Text("stacks", "bold")
    if common := present and _versions(present[0], same):
        yield Row(label, Text(f"all with {common}", "dim"), _GUTTER)
        label = Text()
    for number, outcome in enumerate(matrix.outcomes, 1):
        told = {package for package in outcome.stack.packages if outcome.stack.pinned(package)}
        own = _versions(outcome, [name for name in CORE if name not in same and name not in told])
        reason = (one_line(outcome.reason or ""), _STYLES["unchecked"])
        words = [Text.assemble(part) for part in (reason, (own, "dim")) if part[0]]
        body = Text.assemble(
            f"{number}  {one_line(outcome.stack.label)}", ": " if words else "", Text(" · ").join(words)
        )
        yield Row(label, body, _GUTTER, hang=3, quoted=True)
        label = Text()


def _versions(outcome: Outcome, packages: Sequence[str]) -> str:
    return " · ".join(f"{name} {outcome.versions[name]}" for name in packages if name in outcome.versions)


def _table(matrix: Matrix, width: int) -> Text:
    names = [one_line(outcome.stack.label) for outcome in matrix.outcomes]
    cells = [[stand(cell) for cell in row.cells] for row in matrix.rows]
    sources = ["", *(one_line(row.source) for row in matrix.rows)]
    columns = _columns(names, cells)
    if sum(columns) + max(map(cell_len, sources)) + 2 * len(columns) > width:
        names = [str(number) for number, _ in enumerate(names, 1)]
        columns = _columns(names, cells)
    first = max(map(cell_len, sources))
    lines = []
    for source, words in zip(sources, [names, *cells], strict=True):
        padding = (padded(_colored(word), room) for word, room in zip(words, columns, strict=True))
        line = Text("  ").join([padded(Text(source), first), *padding])
        line.rstrip()
        lines.append(line)
    lines[0].stylize("bold")
    return Text("\n").join(lines)


def _columns(names: Sequence[str], cells: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(cell_len, column)) for column in zip(names, *cells, strict=True)]


def _colored(word: str) -> Text:
    severity = next((severity for severity in ("error", "warning") if severity in word), "")
    return Text(word, _STYLES["unchecked"] if "checked" in word else _STYLES.get(severity, ""))


def _line(sentence: Sentence) -> RenderableType:
    label = Text(sentence.label, _STYLES.get(sentence.label, "bold"))
    first = Row(label, Text(sentence.text), _GUTTER, quoted=True)
    return Group(first, Row(Text(), Text(sentence.detail, "dim"), _GUTTER, quoted=True)) if sentence.detail else first


def _tally(matrix: Matrix) -> str:
    """``2 sources with 3 stacks, 1 of which could not be checked``."""
    lost = sum(not outcome.runs for outcome in matrix.outcomes)
    ending = f", {lost} of which could not be checked" if lost else ""
    sources, stacks = len(matrix.rows), len(matrix.outcomes)
    return f"{wording.plural(sources, 'source')} with {wording.plural(stacks, 'stack')}{ending}"
