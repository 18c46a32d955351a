"""What takes a wrapper's place: its linear alone."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class Unwrapped(nn.Linear):
    """The linear of a wrapper, in its wrapper's place."""

    wrapper: nn.Module
    """The wrapper, without the linear and without what it held besides."""

    def forward(self, input: Tensor, *_: Any, **__: Any) -> Tensor:
        """Compute the product; what else is given is for the wrapper."""
        return super().forward(input)
