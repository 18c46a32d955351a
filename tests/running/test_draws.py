"""A verdict does not depend on a draw."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy
import pytest
import torch

from archlint.running.draws import nothing_dropped

DRAWS: dict[str, Callable[[], float]] = {
    "torch": lambda: torch.rand([]).item(),
    "torch, of one": lambda: torch.rand(1).item(),
    "python": lambda: random.random(),
    "python, between": lambda: random.uniform(0, 1),
    "numpy": lambda: float(numpy.random.rand()),
    "numpy, between": lambda: numpy.random.uniform(0, 1),
}


@pytest.mark.parametrize("source", DRAWS)
def test_a_single_number_is_the_largest(source: str) -> None:
    with nothing_dropped():
        assert DRAWS[source]() == 1.0
    assert {DRAWS[source]() for _ in range(3)} != {1.0}


def test_many_numbers_are_drawn_as_ever() -> None:
    with nothing_dropped():
        assert torch.rand(50).unique().numel() > 1
        assert len(set(numpy.random.rand(50))) > 1
