"""How the process ends: with its exit code, all that was written, and what is registered for the end."""

from __future__ import annotations

import subprocess
import sys

_HOOKED = """
import atexit, sys
atexit.register(lambda: print("the end", file=sys.stderr))
class Slow:
    def __del__(self):
        print("taken apart", file=sys.stderr)
kept = Slow()
from archlint.cli import main
main()
"""


def test_all_is_written_and_hooks_run_and_nothing_is_taken_apart() -> None:
    done = subprocess.run([sys.executable, "-c", _HOOKED, "rules"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "the end\n")
    assert "ARC999" in done.stdout


def test_the_exit_code_is_that_of_the_command() -> None:
    done = subprocess.run([sys.executable, "-c", _HOOKED, "rules", "--no-such-option"], capture_output=True, timeout=60)
    assert done.returncode == 2


def test_a_reader_who_leaves_early_is_no_error() -> None:
    command = f"{sys.executable} -m archlint rules --format json | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
