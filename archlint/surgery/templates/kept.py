"""What takes a wrapper's place: its linear, which does what the wrapper does."""

from __future__ import annotations

from typing import Any

from torch import nn

from archlint.surgery.templates.constants import WRAPPERS


class Unwrapped(nn.Linear):
    """The linear of a wrapper, in its wrapper's place: to PEFT an ``nn.Linear``.

    It computes what the wrapper does, by the wrapper's own code.
    """

    wrapper: nn.Module
    """The wrapper, without the linear and without what it held besides."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the wrapper's forward, which finds here what it asks of itself."""
        return type(self.wrapper).forward(self, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        """What the wrapper would have under ``name``; the product for its linear."""
        wrapper = self.__dict__.get("wrapper")
        if name == WRAPPERS.get(type(wrapper).__name__):
            return super().forward
        try:
            return super().__getattr__(name)
        except AttributeError:
            if wrapper is None:
                raise
            return getattr(wrapper, name)
