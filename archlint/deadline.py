"""Stop Python code that takes longer than anything real would.

Time is the processor's, of the thread that runs the code: a machine that is busy with something else makes nothing
late. What waits instead of computing is stopped as well, far later.
"""

from __future__ import annotations

import contextlib
import ctypes
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, NamedTuple

_AT_ONCE = 1e-6
"""Seconds: a timer that is set to 0 is off."""
_AGAIN = 1.0
"""Seconds until an error is raised again that got lost: what Python calls by itself, as it does ``__del__``, drops all.
As long as that no code takes to tidy up after the first."""
_EARLY = 0.005
"""Seconds by which an alarm may come before its time."""
_WAITING = 10
"""How much longer than it may compute code may take by the clock on the wall."""


class _Clock(NamedTuple):
    """One of the alarms that a process has."""

    timer: int
    signal: int
    now: Callable[[], float]
    """The time that the timer goes by, in seconds; signals come for the time of all threads."""
    used: Callable[[], float]
    """The time of the main thread alone."""


_expired = 0


def expired() -> int:
    """How many deadlines have expired in this process: what was stopped may end in time when it is tried again."""
    return _expired


def expire() -> None:
    """Note that something was stopped for its time."""
    global _expired
    _expired += 1


@contextlib.contextmanager
def deadline(seconds: float, error: type[BaseException]) -> Iterator[None]:
    """Raise ``error`` in this thread once time is up, in whatever Python code of the block runs then.

    In the main thread that goes for regular expressions too, which look for signals while they match; any other
    call into compiled code is waited for, however long it takes. No hook of torch sees a loop that only computes.

    Args:
        seconds: of this thread's processor time; ten times as many by the clock on the wall, for what waits.
        error: what is raised.

    Raises:
        error: from anywhere inside the block.
    """
    is_main = threading.current_thread() is threading.main_thread()
    with contextlib.ExitStack() as stack:
        if is_main and hasattr(signal, "setitimer"):
            waiting = _Clock(signal.ITIMER_REAL, signal.SIGALRM, time.monotonic, time.monotonic)
            computing = _Clock(signal.ITIMER_PROF, signal.SIGPROF, time.process_time, time.thread_time)
            stack.enter_context(_by_signal(seconds * _WAITING, error, waiting))
            stack.enter_context(_by_signal(seconds, error, computing))
        else:
            stack.enter_context(_by_watching(seconds, error))
        yield


@contextlib.contextmanager
def _by_signal(seconds: float, error: type[BaseException], clock: _Clock) -> Iterator[None]:
    """One of the process's own alarms; one that is set already, by another deadline or by anybody else, is kept."""
    until = clock.used() + seconds
    delay, interval = signal.getitimer(clock.timer)
    other = clock.now() + delay if delay else None
    before: Any = signal.getsignal(clock.signal)
    running, rang = True, False

    def wait() -> None:
        """Set the alarm for what is next."""
        own = until - clock.used()
        _set(clock, own if other is None else min(own, other - clock.now()))

    def ring(number: int, frame: FrameType | None) -> None:
        nonlocal other, interval, rang, until
        if not running:  # too late to be of use
            return
        is_theirs = bool(signal.getitimer(clock.timer)[0])  # ours is off once it rang
        used = clock.used()
        if other is not None and other <= clock.now() + _EARLY:
            is_theirs = True
            other = clock.now() + interval if interval else None
        elif until <= used + _EARLY:
            if not rang:
                expire()
            rang, until = True, used + _AGAIN
            wait()
            raise error
        if is_theirs and callable(before):
            signal.setitimer(clock.timer, 0)
            before(number, frame)
            delay, again = signal.getitimer(clock.timer)
            if delay:
                other, interval = clock.now() + delay, again
        wait()

    try:
        signal.signal(clock.signal, ring)
        wait()
        yield
        running = False
        if rang:
            raise error
    finally:
        running = False
        signal.setitimer(clock.timer, 0)
        signal.signal(clock.signal, before)
        if other is not None:
            _set(clock, other - clock.now(), interval)


def _set(clock: _Clock, seconds: float, interval: float = 0) -> None:
    signal.setitimer(clock.timer, max(seconds, _AT_ONCE), interval)


@contextlib.contextmanager
def _by_watching(seconds: float, error: type[BaseException]) -> Iterator[None]:
    """Another thread, which raises in this one: signals reach nothing but the main thread."""
    thread = threading.get_ident()
    used = _used_by(thread)
    until, waited = used() + seconds, time.monotonic() + seconds * _WAITING
    ended, lock = threading.Event(), threading.Lock()

    def watch() -> None:
        while (left := min(until - used(), waited - time.monotonic())) > 0:
            if ended.wait(left):
                return
        with lock:
            if not ended.is_set():
                expire()
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error))

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        with lock:
            ended.set()
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), None)  # raised too late to be of use


def _used_by(thread: int) -> Callable[[], float]:
    """The processor time of a thread, in seconds; by the clock on the wall where the system does not tell."""
    if not hasattr(time, "pthread_getcpuclockid"):
        return time.monotonic
    clock = time.pthread_getcpuclockid(thread)
    return lambda: time.clock_gettime(clock)
