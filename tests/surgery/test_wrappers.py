"""Patches for wrapped linears: each label is held to what the patched module computes."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archlint import engine
from archlint.core.finding import Severity
from archlint.core.safety import Safety
from archlint.core.surgery import Way
from archlint.patching import Bench, bench
from archlint.surgery.patch import Patch


class Plain(nn.Module):
    """Hands its input on."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(16, 16)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.linear(hidden)


class Placed(Plain):
    """Takes a position that it does not need."""

    def forward(self, hidden: Tensor, position: int | None = None) -> Tensor:
        return self.linear(hidden)


class Clamped(Plain):
    """Has limits of its own, which a checkpoint fills in."""

    def __init__(self) -> None:
        super().__init__()
        self.lowest = nn.Buffer(torch.tensor(-math.inf))
        self.highest = nn.Buffer(torch.tensor(math.inf))

    def forward(self, hidden: Tensor) -> Tensor:
        return torch.clamp(self.linear(hidden), self.lowest, self.highest)


class Switched(Clamped):
    """Has limits that are off."""

    def __init__(self) -> None:
        super().__init__()
        self.clamps = False

    def forward(self, hidden: Tensor) -> Tensor:
        hidden = self.linear(hidden)
        return torch.clamp(hidden, self.lowest, self.highest) if self.clamps else hidden


class Scaled(Plain):
    """Multiplies by a parameter of its own: no wrapper to the census, which wants none."""

    def forward(self, hidden: Tensor) -> Tensor:
        return self.linear(hidden) * 0.5


class Turned(Plain):
    """Takes channels first."""

    def forward(self, hidden: Tensor) -> Tensor:
        return self.linear(hidden.transpose(1, 2)).transpose(1, 2)


class Dropped(Plain):
    """Drops some outputs in training."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.5)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.dropout(self.linear(hidden))


class Negated(Plain):
    """Turns the meaning of its output round."""

    def forward(self, hidden: Tensor) -> Tensor:
        return -self.linear(hidden)


class Two(Plain):
    """Is no wrapper of one linear."""

    def __init__(self) -> None:
        super().__init__()
        self.second = nn.Linear(16, 16)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.second(self.linear(hidden))


class Model(nn.Module):
    """Layers with a wrapper each, and a plain linear."""

    def __init__(self, wrapper: type[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.ModuleDict({"q_proj": wrapper(), "o_proj": nn.Linear(16, 16)}) for _ in range(2))

    def forward(self, hidden: Tensor) -> Tensor:
        for layer in self.layers:
            hidden = hidden + layer["o_proj"](layer["q_proj"](hidden))
        return hidden
