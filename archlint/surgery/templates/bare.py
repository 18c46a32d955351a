"""What takes a wrapper's place: its linear alone."""

from __future__ import annotations

from torch import nn


class Unwrapped(nn.Linear):
    """The linear of a wrapper in its wrapper's place."""

    wrapper: nn.Module
    """The wrapper, without the linear and without what it held besides."""
