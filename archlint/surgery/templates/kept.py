"""What takes a wrapper's place: its linear, which goes on doing what the wrapper does."""

from __future__ import annotations

from typing import Any

from torch import nn

from archlint.surgery.templates.constants import WRAPPERS


class Unwrapped(nn.Linear):
    """The linear of a wrapper in its wrapper's place, and to PEFT an ``nn.Linear``; it computes what the wrapper does."""

    wrapper: nn.Module
    """The wrapper, without the linear and without what it held besides."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the wrapper's own code, which finds here what it asks of itself."""
        return type(self.wrapper).forward(self, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        wrapper = self.__dict__.get("wrapper")
        if name == WRAPPERS.get(type(wrapper).__name__):
            return super().forward
        try:
            return super().__getattr__(name)
        except AttributeError:
            if wrapper is None:
                raise
            return getattr(wrapper, name)
