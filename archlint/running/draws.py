"""No layer is dropped at random while a model is run: a verdict must not depend on a draw."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy
import torch
from torch import Tensor

_DRAWS = (
    (random, "random"),
    (random, "uniform"),
    (numpy.random, "rand"),
    (numpy.random, "random"),
    (numpy.random, "uniform"),
)
"""Functions that models draw one number from, to drop a layer where it is below a rate."""


@contextlib.contextmanager
def nothing_dropped() -> Iterator[None]:
    """Within the block a single random number, from torch, numpy or Python, is the largest that it can be."""
    with contextlib.ExitStack() as stack:
        for owner, name in (*_DRAWS, (torch, "rand")):
            draw = getattr(owner, name)
            stack.callback(setattr, owner, name, draw)
            setattr(owner, name, _largest(draw))
        yield


def _largest(draw: Callable[..., Any]) -> Callable[..., Any]:
    def drawn(*args: Any, **kwargs: Any) -> Any:
        found = draw(*args, **kwargs)
        if isinstance(found, Tensor):
            return torch.ones_like(found, device="cpu") if found.numel() == 1 else found
        if not isinstance(found, float):
            return found
        return float(args[-1]) if draw.__name__ == "uniform" and args else 1.0

    return drawn
