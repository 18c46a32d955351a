"""The command line. It alone prints, exits and reads the terminal; all it prints is made elsewhere.

Nothing here imports torch, transformers or PEFT before there is something to check: ``--help``, ``rules``,
``explain``, ``--version`` and usage errors answer at once.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line on ``sys.argv`` and exit."""
    from archlint.cli.app import app

    try:
        app.main(prog_name="archlint")
    except SystemExit as end:
        _leave(end.code)
    raise AssertionError("click exits")


def _leave(code: object) -> NoReturn:
    """End the process. Python would take apart all that torch and the rest have made first, which takes a second."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
    atexit._run_exitfuncs()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)
