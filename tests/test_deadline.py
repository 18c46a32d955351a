"""Code that takes too long is stopped, in whichever thread it runs, and leaves nothing behind."""

from __future__ import annotations

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
            until = time.monotonic() + 0.3
            while time.monotonic() < until:
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


def test_what_is_in_time_goes_on_and_the_signal_is_as_before() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with deadline(60, LateError):
        assert signal.getsignal(signal.SIGALRM) is not before
    assert signal.getsignal(signal.SIGALRM) is before


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


def test_a_signal_of_somebody_else_is_heard() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, _: heard.append(number))
    try:
        with deadline(60, LateError):
            signal.raise_signal(signal.SIGALRM)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert heard == [signal.SIGALRM]
