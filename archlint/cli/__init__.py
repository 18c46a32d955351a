"""The command line. It alone prints, exits and reads the terminal; all it prints is made elsewhere.

Nothing here imports torch, transformers or PEFT before there is something to check: ``--help``, ``rules``,
``explain``, ``--version`` and usage errors answer at once.
"""

from __future__ import annotations

from typing import NoReturn


def main() -> NoReturn:
    """Run the command line on ``sys.argv`` and exit."""
    from archlint.cli.app import app

    app.main(prog_name="archlint")
    raise AssertionError("click exits")
