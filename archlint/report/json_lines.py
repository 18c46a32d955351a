"""``--format jsonl``: one report a line, each a complete document."""

from __future__ import annotations

import dataclasses
import json

from archlint.core.report import Run
from archlint.report.contract import document


def render(run: Run) -> str:
    """Each report as a document on a line of its own, with schema, environment and its own summary."""
    runs = (dataclasses.replace(run, reports=(report,)) for report in run.reports)
    return "".join(json.dumps(document(alone), allow_nan=False) + "\n" for alone in runs)
