"""What stands in every patch file that changes a model."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from torch import nn

from archlint.surgery.templates.wrapped import rewrap, unwrap  # those of its own file


@contextlib.contextmanager
def unwrapped(model: nn.Module) -> Iterator[nn.Module]:
    """Unwrap ``model`` for the length of a ``with`` block."""
    unwrap(model)
    try:
        yield model
    except BaseException:
        with contextlib.suppress(ValueError):  # what went wrong is to be seen
            rewrap(model)
        raise
    rewrap(model)
