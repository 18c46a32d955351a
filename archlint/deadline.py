"""Stop Python code that takes longer than anything real would."""

from __future__ import annotations

import contextlib
import ctypes
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

_AT_ONCE = 1e-6
"""Seconds: a timer that is set to 0 is off."""
_AGAIN = 1.0
"""Seconds until an error is raised again that got lost: what Python calls by itself, as it does ``__del__``, drops all.
As long as that no code takes to tidy up after the first."""
_EARLY = 0.005
"""Seconds by which an alarm may come before its time."""

_expired = 0


def expired() -> int:
    """How many deadlines have expired in this process: what was stopped may end in time when it is tried again."""
    return _expired


def _expire() -> None:
    global _expired
    _expired += 1


@contextlib.contextmanager
def deadline(seconds: float, error: type[BaseException]) -> Iterator[None]:
    """Raise ``error`` in this thread once time is up, in whatever Python code of the block runs then.

    In the main thread that goes for regular expressions too, which look for signals while they match; any other
    call into compiled code is waited for, however long it takes. No hook of torch sees a loop that only computes.

    Raises:
        error: from anywhere inside the block.
    """
    is_main = threading.current_thread() is threading.main_thread()
    with _by_signal(seconds, error) if is_main and hasattr(signal, "setitimer") else _by_timer(seconds, error):
        yield


@contextlib.contextmanager
def _by_signal(seconds: float, error: type[BaseException]) -> Iterator[None]:
    """The process's own alarm; one that is set already, by another deadline or by anybody else, is kept."""
    began = time.monotonic()
    until = began + seconds
    delay, _ = signal.getitimer(signal.ITIMER_REAL)
    other = began + delay if delay else None
    before: Any = signal.getsignal(signal.SIGALRM)
    running, rang = True, False

    def ring(number: int, frame: FrameType | None) -> None:
        nonlocal other, rang
        if not running:  # too late to be of use
            return
        now = time.monotonic() + _EARLY
        if other is not None and other <= now:
            other = None
            _set(until)
        elif until <= now:
            if not rang:
                _expire()
            rang = True
            _set(now + _AGAIN)
            raise error
        if callable(before):
            before(number, frame)

    try:
        signal.signal(signal.SIGALRM, ring)
        _set(until if other is None else min(until, other))
        yield
        running = False
        if rang:
            raise error
    finally:
        running = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if other is not None:
            _set(other)


def _set(until: float) -> None:
    signal.setitimer(signal.ITIMER_REAL, max(until - time.monotonic(), _AT_ONCE))


@contextlib.contextmanager
def _by_timer(seconds: float, error: type[BaseException]) -> Iterator[None]:
    """Another thread, which raises in this one: signals reach nothing but the main thread."""
    thread = ctypes.c_ulong(threading.get_ident())
    lock = threading.Lock()
    running = True

    def stop() -> None:
        with lock:
            if running:
                _expire()
                ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(error))

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        with lock:
            running = False
            ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, None)  # raised too late to be of use
