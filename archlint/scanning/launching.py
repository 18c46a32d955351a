"""Starting processes that work on one model each, and hearing of their end."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Protocol


class LaunchError(Exception):
    """No process can be started, whatever is to run in it; the message says why."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A process is there and works."""

    number: int
    pid: int


@dataclass(frozen=True, slots=True)
class Ended:
    """A process is gone, and all that it started."""

    number: int
    answer: bytes
    """What it wrote: an answer, half of one, or nothing."""
    code: int
    """Its exit code; the negative number of the signal that ended it."""
    seconds: float = 0.0
    """Processor time."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The system would not have one more process."""

    number: int
    why: str


@dataclass(frozen=True, slots=True)
class Broken:
    """What starts processes is gone, and all that it had started with it. It is there again at the next start."""


Event = Begun | Ended | Refused | Broken


def environment() -> dict[str, str]:
    """The environment of processes that check models.

    One thread is enough where there are many processes. Sets have the same order each time: libraries print them in
    what they raise, and results are to be the same bytes.
    """
    return {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"), "PYTHONHASHSEED": "0"}


def interpreter(code: str) -> list[str]:
    """The command that runs ``code`` in a Python like this one, which finds the same modules."""
    return [sys.executable, *["-O"] * sys.flags.optimize, "-c", f"import sys; sys.path[:] = {sys.path!r}\n{code}"]


class Launcher(Protocol):
    """Starts processes."""

    def start(self, number: int, job: bytes) -> None:
        """Have a process answer ``job``; events say when it has begun.

        Raises:
            LaunchError: that can never be.
        """
        ...

    def kill(self, number: int) -> None:
        """End a process at once, with all that it started; an event says when it is gone."""
        ...

    def events(self, seconds: float) -> list[Event]:
        """What happened since, waited for at most so long."""
        ...

    def close(self) -> None:
        """End all that was started, and all that this needs itself."""
        ...
