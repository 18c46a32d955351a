"""``--format json``: one document for the whole run."""

from __future__ import annotations

import json

from archlint.core.report import Run
from archlint.report.contract import document


def render(run: Run) -> str:
    """The run as one indented JSON document, in ASCII, so that no locale or terminal can change its bytes."""
    return json.dumps(document(run), indent=2, allow_nan=False) + "\n"
