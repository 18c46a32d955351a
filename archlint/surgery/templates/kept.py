"""What takes a wrapper's place: its linear, which does what the wrapper does."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from archlint.surgery.templates.constants import WRAPPERS


class Product:
    """The linear, to the code of its wrapper: it multiplies, and has a weight."""

    def __init__(self, linear: nn.Linear) -> None:
        self.linear = linear

    def __call__(self, hidden_states: Tensor) -> Tensor:
        """Multiply, and add the bias."""
        return nn.Linear.forward(self.linear, hidden_states)

    def __getattr__(self, name: str) -> Any:
        """What the linear has under ``name``."""
        return getattr(self.__dict__["linear"], name)


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
        """What the wrapper would have under ``name``."""
        wrapper = self.__dict__.get("wrapper")
        if name == WRAPPERS.get(type(wrapper).__name__):
            return Product(self)
        try:
            return super().__getattr__(name)
        except AttributeError:
            if wrapper is None:
                raise
            return getattr(wrapper, name)
