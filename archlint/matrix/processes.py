"""Processes that end when the one that started them is interrupted, and all that they started with them."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ended:
    """A process that has ended."""

    code: int
    out: str
    error: str


def run(command: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Ended:
    """Run ``command`` to its end, however long that takes. Nothing can be asked of a user.

    Raises:
        OSError: it cannot be started.
    """
    with subprocess.Popen(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,  # a group of its own, which can be ended as a whole
    ) as process:
        try:
            out, error = process.communicate()
        except BaseException:
            _kill(process)
            raise
    return Ended(process.returncode, out, error)


def _kill(process: subprocess.Popen[str]) -> None:
    if os.name == "posix":
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
    else:
        process.kill()
