"""``--format json``: the schema ``archlint/matrix/v1``, which holds the reports as ``archlint check`` gives them."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from archlint import __version__
from archlint.matrix.comparing import Cell, Matrix, Outcome, Row, Trace
from archlint.matrix.telling import sentences
from archlint.report import contract

SCHEMA = "archlint/matrix/v1"


def schema() -> Any:
    """The JSON Schema (draft 2020-12) that every document validates against."""
    return json.loads(files("archlint.matrix").joinpath("schema.json").read_text(encoding="utf-8"))


def render(matrix: Matrix, *, exit_code: int) -> str:
    """The matrix as one indented JSON document, in ASCII."""
    return json.dumps(document(matrix, exit_code), indent=2, allow_nan=False) + "\n"


def document(matrix: Matrix, exit_code: int) -> dict[str, Any]:
    """The matrix in JSON values."""
    return {
        "schema": SCHEMA,
        "archlint": __version__,
        "exit_code": exit_code,
        "stacks": [_stack(outcome) for outcome in matrix.outcomes],
        "sources": [_source(matrix, row) for row in matrix.rows],
    }


def _stack(outcome: Outcome) -> dict[str, Any]:
    return {
        "with": outcome.stack.label,
        "versions": dict(sorted(outcome.versions.items())),
        "unchecked": outcome.reason,
        "documents": [contract.document(run) for run in outcome.runs],
    }


def _source(matrix: Matrix, row: Row) -> dict[str, Any]:
    return {
        "source": row.source,
        "stacks": [_cell(cell) for cell in row.cells],
        "findings": [_trace(row, trace) for trace in row.traces],
        "words": [
            {"label": sentence.label, "text": sentence.text, "detail": sentence.detail or None}
            for sentence in sentences(matrix, row)
        ],
    }


def _cell(cell: Cell) -> dict[str, Any]:
    return {"works": cell.works, "breaks": cell.fails, "unchecked": cell.reason}


def _trace(row: Row, trace: Trace) -> dict[str, Any]:
    return {
        "code": trace.code,
        "name": trace.name,
        "fingerprint": trace.fingerprint,
        "message": trace.message,
        "differs": row.differs(trace),
        "severities": [None if found is None else found.value for found in trace.severities],
    }
