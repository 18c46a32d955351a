"""What takes a wrapper's place: its linear alone."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from archlint.surgery.templates.constants import WRAPPERS


class Unwrapped(nn.Linear):
    """The linear of a wrapper, in its wrapper's place."""

    wrapper: nn.Module
    """The wrapper, without the linear and without what it held besides."""

    def forward(self, input: Tensor, *_: Any, **__: Any) -> Tensor:
        """Compute the product; what else is given is for the wrapper."""
        return super().forward(input)

    def __getattr__(self, name: str) -> Any:
        """What code finds that asks the wrapper for its linear: the linear itself."""
        wrapper = self.__dict__.get("wrapper")
        if name == WRAPPERS.get(type(wrapper).__name__):
            return self
        return super().__getattr__(name)
