"""``--format markdown``: GitHub-flavoured, the table of sources and stacks and what differs."""

from __future__ import annotations

from collections.abc import Iterator

from archlint.matrix.comparing import Matrix
from archlint.matrix.telling import sentences, stand
from archlint.report.markup import code, prose, row


def render(matrix: Matrix) -> str:
    """The matrix as Markdown."""
    return "".join(_parts(matrix))


def _parts(matrix: Matrix) -> Iterator[str]:
    yield "### archlint matrix\n\n"
    yield row("source", *(code(outcome.stack.label) for outcome in matrix.outcomes))
    yield row(*["---"] * (len(matrix.outcomes) + 1))
    for line in matrix.rows:
        yield row(code(line.source), *map(stand, line.cells))
    for number, outcome in enumerate(outcome for outcome in matrix.outcomes if outcome.reason is not None):
        yield "\n" * (number == 0) + f"- {code(outcome.stack.label)}: {prose(outcome.reason or '')}\n"
    for line in matrix.rows:
        yield f"\n**{code(line.source)}**\n\n"
        for sentence in sentences(matrix, line):
            detail = f": {prose(sentence.detail)}" if sentence.detail else ""
            yield f"- {sentence.label}: {prose(sentence.text)}{detail}\n"
