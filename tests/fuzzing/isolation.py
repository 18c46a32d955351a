"""A call in a process of its own, so that no crash, hang or hunger for memory of it ends the run."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import pickle
import resource
import select
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_SECONDS = 75.0
"""Of processor time: archlint itself stops a plan after 60."""
MAX_BYTES = 4 * 2**30
_KILLED_SECONDS = 2.5 * MAX_SECONDS
_KILLED_BYTES = 3 * MAX_BYTES
_LONGEST_WAIT = 4 * MAX_SECONDS
"""By the clock on the wall: then it is told where the process is."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a call ended, and what it took."""

    value: Any
    """What it returned; ``None`` where it did not."""
    raised: str
    """The traceback, or what killed the process; empty where it returned."""
    seconds: float
    """Of processor time."""
    peak: int
    """The most memory that it had at once, in bytes; what it shares with this process is in it."""

    @property
    def failures(self) -> list[str]:
        """What no input may lead to."""
        found = [self.raised] if self.raised else []
        if self.seconds > MAX_SECONDS:
            found.append(f"hang: {self.seconds:.0f} s of processor time")
        if self.peak > MAX_BYTES:
            found.append(f"memory: {self.peak / 2**30:.1f} GiB")
        return found


def apart(call: Callable[[], Any], folder: Path) -> Ended:
    """What comes of ``call`` in a fork of this process, in the working directory ``folder``."""
    ours, its = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ours)
        _child(call, its, folder)
    os.close(its)
    answer, timed_out = _received(ours, pid)
    _, status, usage = os.wait4(pid, 0)
    value, raised = None, ""
    if timed_out:
        raised = f"hang: nothing in {2 * _LONGEST_WAIT:.0f} s"
    elif answer.startswith(pickle.PROTO):
        value, raised = pickle.loads(answer)
    elif answer:
        raised = f"hang: not done in {_LONGEST_WAIT:.0f} s\n{answer.decode(errors='replace')}"
    else:
        code = os.waitstatus_to_exitcode(status)
        raised = f"killed: {signal.Signals(-code).name if code < 0 else f'exit code {code}'}"
    return Ended(value, raised, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def _child(call: Callable[[], Any], its: int, folder: Path) -> None:
    try:
        os.setsid()
        os.chdir(folder)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (int(_KILLED_SECONDS), int(_KILLED_SECONDS) + 5))
        resource.setrlimit(resource.RLIMIT_AS, (_address_space() + _KILLED_BYTES,) * 2)
        faulthandler.dump_traceback_later(_LONGEST_WAIT, exit=True, file=its)
        try:
            answer = (call(), "")
        except BaseException:
            answer = (None, traceback.format_exc())
        faulthandler.cancel_dump_traceback_later()
        with os.fdopen(its, "wb") as out:
            out.write(pickle.dumps(answer))
    finally:
        os._exit(0)


def _address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    return pages * resource.getpagesize()


def _received(ours: int, pid: int) -> tuple[bytes, bool]:
    """What the child wrote, and whether it was killed for its time."""
    found = bytearray()
    until = time.monotonic() + 2 * _LONGEST_WAIT
    with os.fdopen(ours, "rb", buffering=0) as stream:
        while True:
            readable, _, _ = select.select([stream], [], [], max(0.0, until - time.monotonic()))
            if not readable:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGKILL)
                return b"", True
            part = stream.read(2**20)
            if not part:
                return bytes(found), False
            found += part
