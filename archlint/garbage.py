"""Python's search for dead objects that refer to each other, kept from what lives as long as the process.

To import torch and transformers makes objects by the million, and the half million that stay would be gone through
again and again: for a tenth of the time that a check takes.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

_MADE = 20_000
"""New objects after which Python looks for dead ones among them."""
_seldom = 0
"""How many blocks of :func:`seldom_collected` there are around what runs now."""


@contextlib.contextmanager
def seldom_collected() -> Iterator[None]:
    """Within the block Python looks less often for dead objects, and not at all at what :func:`importing` left.

    To place an adapter in every layer makes objects by the ten thousand, and nearly all live on.
    """
    global _seldom
    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    if 0 < before[0] < _MADE:  # 0 is off
        gc.set_threshold(_MADE, *before[1:])
    _seldom += 1
    try:
        yield
    finally:
        _seldom -= 1
        gc.set_threshold(*before)
        if not frozen:  # else somebody else has put objects aside, or a block around this one
            gc.unfreeze()


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Within the block Python does not look for dead objects.

    What is alive after it is put aside until the end of the block of :func:`seldom_collected` around it; without one
    nothing is put aside.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if _seldom:
            gc.freeze()
        if enabled:
            gc.enable()
