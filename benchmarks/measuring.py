"""What commands take: each a process of its own, in turn, so that a drift of the machine's speed meets them all.

The process that measures has to stay small: Linux counts the memory that a process was started from as its own.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

MEGABYTE = 10**6
_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes in which a system tells the peak memory."""


class Usage(NamedTuple):
    """What a command took, with all processes that it started and waited for."""

    processor: float
    """Seconds of user and system time."""
    wall: float
    """Seconds from the start to the end."""
    memory: float
    """Megabytes (10⁶ bytes) of the largest of its processes, at the most."""


class FailedError(Exception):
    """A command ended with an exit code that says it did not do what was to be measured."""


@dataclass(frozen=True)
class Command:
    """A command of Python's, as ``python`` takes it."""

    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables beside those of this process."""
    succeeds: frozenset[int] = frozenset({0})
    """Exit codes of a run that counts."""


def rounds(commands: Mapping[str, Command], runs: int, folder: Path) -> dict[str, Usage | str]:
    """The median of what each command takes in ``runs`` rounds, or why it cannot be run.

    Each is run once before, so that compiled modules are written and files are in memory: what is measured is the
    second run of an installed package, and not its first.

    Args:
        commands: by name.
        runs: rounds that count.
        folder: an empty one, in which the commands run: settings of a project are no part of the measurement.
    """
    failed: dict[str, str] = {}
    taken: dict[str, list[Usage]] = {name: [] for name in commands}
    for number in range(runs + 1):
        for name, command in commands.items():
            if name in failed:
                continue
            try:
                usage = once(command, folder)
            except FailedError as error:
                failed[name] = str(error)
            else:
                taken[name] += [usage] if number else []
    return {name: failed[name] if name in failed else median(taken[name]) for name in commands}


def median(taken: Sequence[Usage]) -> Usage:
    """The median of each figure by itself."""
    return Usage(*(statistics.median(figures) for figures in zip(*taken, strict=True)))


def once(command: Command, folder: Path) -> Usage:
    """Run a command, and say what it took.

    Raises:
        FailedError: with the last line that it wrote to standard error.
    """
    environment = {**os.environ, **command.environment}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package is compiled
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *command.arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        try:
            _, status, used = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in command.succeeds:
            errors.seek(0)
            lines = errors.read().strip().splitlines()
            raise FailedError(lines[-1].strip() if lines else f"exit code {process.returncode}")
        return Usage(used.ru_utime + used.ru_stime, wall, used.ru_maxrss * _UNIT / MEGABYTE)
