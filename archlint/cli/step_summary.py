"""The summary of a step of GitHub Actions: Markdown that is appended to the file which the runner names."""

from __future__ import annotations

import os
from pathlib import Path

from archlint.cli.output import notice

_VARIABLE = "GITHUB_STEP_SUMMARY"
_MOST = 1024**2
"""Bytes that GitHub takes of a step: of a longer summary it shows nothing."""


def append_summary(markdown: str) -> None:
    """Append to the step's summary, where there is one. That it cannot be written is no error of the check."""
    if not (name := os.environ.get(_VARIABLE)):
        return
    text = markdown.encode("utf-8", "backslashreplace")
    file = Path(name)
    try:
        with file.open("ab") as stream:
            if stream.tell() + len(text) > _MOST:
                notice(f"{_VARIABLE} has no room for another {len(text):,} bytes: GitHub takes {_MOST:,} of a step")
            else:
                stream.write(text)
    except OSError as error:
        notice(f"{_VARIABLE} {file}: {error.strerror or error}")
