"""Results in a stream are in the order of the list, whichever comes first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from archlint.scanning.results import InOrder


def line(number: int) -> bytes:
    return b"%d\n" % number * (number + 1)


@given(st.permutations(range(8)), st.integers(0, 8))
def test_a_line_is_out_as_soon_as_those_in_front_are(order: list[int], stopped: int) -> None:
    out: list[bytes] = []
    results = InOrder(out.append)
    for number in order[:stopped]:
        results.put(number, b"", line(number))
        done = set(order[: order.index(number) + 1])
        in_turn = next(first for first in range(9) if first not in done)
        assert out == [line(other) for other in range(in_turn)]
    results.stop()
    assert out == [line(number) for number in sorted(order[:stopped])], "what is done is written"
    results.close()


def test_many_that_wait_leave_no_trace() -> None:
    out: list[bytes] = []
    results = InOrder(out.append)
    for start in range(0, 60, 20):
        for number in reversed(range(start, start + 20)):
            results.put(number, b"", line(number))
    assert out == [line(number) for number in range(60)]
    results.close()
