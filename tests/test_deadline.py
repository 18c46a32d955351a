"""Code that takes too long is stopped, in whichever thread it runs, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import re
import signal
import threading
import time
from collections.abc import Callable

import pytest

from archlint.deadline import deadline


class LateError(BaseException):
    pass


class LaterError(BaseException):
    pass


def forever() -> None:
    while True:
        pass


def backtracking() -> None:
    re.fullmatch(r"(([a-z]+)+)+!", "a" * 64)


@pytest.mark.parametrize("work", [forever, backtracking])
def test_the_main_thread_is_stopped(work: Callable[[], None]) -> None:
    with pytest.raises(LateError), deadline(0.1, LateError):
        work()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_error_that_python_drops_is_not_lost() -> None:
    ended: list[bool] = []

    class Slow:
        def __del__(self) -> None:
            until = time.thread_time() + 0.6
            while time.thread_time() < until:
                pass

    def dropped() -> None:
        Slow()
        ended.append(True)

    with pytest.raises(LateError), deadline(0.1, LateError):
        dropped()
    assert ended


def test_another_thread_is_stopped() -> None:
    raised: list[str] = []

    def run() -> None:
        try:
            with deadline(0.1, LateError):
                forever()
        except LateError:
            raised.append("late")

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    assert raised == ["late"]


def test_waiting_is_no_work() -> None:
    with deadline(0.1, LateError):
        time.sleep(0.3)


def waiting() -> None:
    while True:
        time.sleep(0.01)


def test_what_waits_for_ever_is_stopped() -> None:
    with pytest.raises(LateError), deadline(0.03, LateError):
        waiting()


def test_the_work_of_another_thread_does_not_count() -> None:
    ended = threading.Event()

    def work() -> None:
        until = time.thread_time() + 0.3
        while time.thread_time() < until:
            pass
        ended.set()

    threading.Thread(target=work).start()
    with deadline(0.2, LateError):
        assert ended.wait(60)


def test_what_is_in_time_goes_on_and_the_signal_is_as_before() -> None:
    signals = signal.SIGALRM, signal.SIGPROF
    before = [*map(signal.getsignal, signals)]
    with deadline(60, LateError):
        assert not {*map(signal.getsignal, signals)} & {*before}
    assert [*map(signal.getsignal, signals)] == before


def test_the_outer_deadline_holds_inside_the_inner_one() -> None:
    with pytest.raises(LateError), deadline(0.1, LateError), deadline(60, LaterError):
        backtracking()


def test_the_inner_deadline_leaves_the_outer_one_running() -> None:
    def stopped_and_on() -> None:
        with pytest.raises(LaterError), deadline(0.1, LaterError):
            forever()
        forever()

    with pytest.raises(LateError), deadline(0.3, LateError):
        stopped_and_on()


@pytest.mark.parametrize("number", [signal.SIGALRM, signal.SIGPROF])
def test_a_signal_of_somebody_else_is_heard(number: int) -> None:
    heard: list[int] = []
    before = signal.signal(number, lambda number, _: heard.append(number))
    try:
        with deadline(60, LateError):
            signal.raise_signal(number)
            assert signal.getitimer(signal.ITIMER_PROF)[0] > 0
    finally:
        signal.signal(number, before)
    assert heard == [number]


def test_a_profiler_goes_on_inside_and_afterwards() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGPROF, lambda number, _: heard.append(number))
    signal.setitimer(signal.ITIMER_PROF, 0.02, 0.02)
    try:
        for block in (deadline(60, LateError), contextlib.nullcontext()):
            heard.clear()
            with block:
                until = time.thread_time() + 10
                while len(heard) < 3 and time.thread_time() < until:
                    pass
            assert len(heard) == 3
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
