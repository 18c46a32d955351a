"""The engine of one machine: a process for each model, ended when it takes too long or too much memory."""

from __future__ import annotations

import json
import math
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from archlint.scanning.launching import Begun, Broken, Ended, Launcher, Refused
from archlint.scanning.tasks import Outcome, Task

_TICK = 0.05
"""Seconds between two looks at clocks and memory, where nothing happens."""
_ASKED_AGAIN = 0.005
"""Seconds until a task is asked for again, where there was none at hand."""
_SHARE = 0.02
"""Of this process's time, at most, for looking at memory: that takes longer where there are many processes."""
_GIB = 2**30
_FROM_ELSEWHERE = {getattr(signal, name, None) for name in ("SIGHUP", "SIGINT", "SIGKILL", "SIGTERM")}
"""Signals that people, schedulers and a system without memory send; a crash has others."""
_BROKE = "it ended the process that models are forked from"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one model may take."""

    seconds: float = math.inf
    """By the clock."""
    memory: int = 2**63
    """Bytes, with all that it started."""


@dataclass(slots=True)
class _Running:
    task: Task
    suspected: str = ""
    """What happened when it ran before; then nothing runs beside it."""
    pid: int | None = None
    until: float = math.inf
    killed: str = ""
    """Why it was ended from outside."""


Usage = Callable[[Collection[int], int], Mapping[int, int]]


class Processes:
    """Runs each task in a process of its own.

    One that ends without an answer, takes longer or more memory than it may, is lost, and no other with it. What may
    have come from elsewhere proves nothing against a model: where what starts processes breaks down, or a process is
    killed, what ran is run again, one after the other, and the one with which the same happens then is lost. So a scan
    whose processes are killed one by one, in whatever order, has no results that are due to that.

    Args:
        launcher: starts the processes; closed with the run.
        jobs: how many at a time.
        limits: for each.
        usage: what processes take (bytes by process id), given their ids and the limit.
    """

    def __init__(self, launcher: Launcher, *, jobs: int, limits: Limits, usage: Usage) -> None:
        self._launcher = launcher
        self._jobs = jobs
        self._limits = limits
        self._usage = usage
        self._at_work: dict[int, _Running] = {}
        self._suspects: deque[tuple[Task, str]] = deque()
        """What is to be run alone, and why."""
        self._looked = -math.inf
        self._pause = _TICK

    def running(self) -> list[str]:
        return [one.task.name for one in self._at_work.values()]

    def run(self, tasks: Iterator[Task | None]) -> Generator[Outcome | None, None, None]:
        more = True
        try:
            while True:
                is_waiting = False
                while more and not is_waiting and not self._suspects and len(self._at_work) < self._jobs:
                    task = next(tasks, _OVER)
                    if task is _OVER:
                        more = False
                    elif isinstance(task, Task):
                        self._begin(task)
                    else:
                        is_waiting = True
                if self._suspects and not self._at_work:
                    self._begin(*self._suspects.popleft())
                if not more and not self._at_work:
                    return
                for event in self._launcher.events(_ASKED_AGAIN if is_waiting else _TICK):
                    yield from self._heard(event)
                self._watch()
                yield None
        finally:
            self._launcher.close()

    def _begin(self, task: Task, suspected: str = "") -> None:
        self._at_work[task.number] = _Running(task, suspected)
        self._launcher.start(task.number, task.job)

    def _heard(self, event: Begun | Ended | Refused | Broken) -> Iterator[Outcome]:
        if isinstance(event, Broken):
            yield from self._broken()
        elif isinstance(event, Begun):
            running = self._at_work[event.number]
            running.pid, running.until = event.pid, time.monotonic() + self._limits.seconds
        elif isinstance(event, Refused):
            del self._at_work[event.number]
            yield Outcome(event.number, None, f"no process could be started for it: {event.why}")
        else:
            one = self._at_work.pop(event.number)
            if -event.code in _FROM_ELSEWHERE and not one.killed:
                yield from self._suspect(one, _why(event.code), event.seconds)
            else:
                yield _outcome(event, one.killed)

    def _broken(self) -> Iterator[Outcome]:
        running, self._at_work = list(self._at_work.values()), {}
        for one in running:
            if one.pid is None:
                self._suspects.append((one.task, one.suspected or _BROKE))
            elif one.killed and one.suspected:
                yield Outcome(one.task.number, None, one.killed)
            else:
                yield from self._suspect(one, _BROKE)

    def _suspect(self, one: _Running, why: str, seconds: float = 0.0) -> Iterator[Outcome]:
        """Have it run alone, unless it ended so when it did."""
        if one.suspected == why:
            yield Outcome(one.task.number, None, why, seconds)
        else:
            self._suspects.append((one.task, why))

    def _watch(self) -> None:
        """End what takes too long, or too much."""
        now = time.monotonic()
        for number, one in self._at_work.items():
            if one.until <= now:
                self._kill(number, one, f"it took more than {self._limits.seconds:g} s, and was ended")
        if now < self._looked + self._pause:
            return
        by_pid = {one.pid: number for number, one in self._at_work.items() if one.pid is not None and not one.killed}
        for pid, taken in self._usage(by_pid.keys(), self._limits.memory).items() if by_pid else ():
            if taken > self._limits.memory:
                number = by_pid[pid]
                why = f"it took more than {self._limits.memory / _GIB:.3g} GiB of memory, and was ended"
                self._kill(number, self._at_work[number], why)
        self._looked = time.monotonic()
        self._pause = max(_TICK, (self._looked - now) / _SHARE)

    def _kill(self, number: int, one: _Running, why: str) -> None:
        one.killed, one.until = why, math.inf
        self._launcher.kill(number)


_OVER = object()


def _outcome(ended: Ended, killed: str) -> Outcome:
    """What came of a process. An answer that it gave counts, even where it had to be ended then."""
    said = _read(ended.answer) if ended.code == 0 else None
    if said is None:
        return Outcome(ended.number, None, killed or _why(ended.code), ended.seconds)
    document, lost = said.get("document"), said.get("lost")
    if isinstance(document, dict):
        return Outcome(ended.number, document, seconds=ended.seconds)
    return Outcome(ended.number, None, str(lost), ended.seconds)


def _read(answer: bytes) -> dict[str, Any] | None:
    try:
        said = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def _why(code: int) -> str:
    if code >= 0:
        return f"its code ended the process with exit code {code}, and there is no report"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    means = signal.strsignal(-code) if hasattr(signal, "strsignal") else None
    what = f"{name} ({means.lower()})" if means else name
    return f"its process was ended by {what}" + (" or the system ran out of memory" if name == "SIGKILL" else "")


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
