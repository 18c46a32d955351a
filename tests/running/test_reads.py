"""What is called, and which weights are read past their module."""

from __future__ import annotations

import torch
from torch import nn

from archlint.running.reads import watched


class Mixer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.called = nn.Linear(2, 2)
        self.read = nn.Linear(2, 2)
        self.unused = nn.Linear(2, 2)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = self.called(hidden) @ self.read.weight
        return product


def test_calls_and_reads_are_written_down_with_their_line() -> None:
    mixer = Mixer()
    with watched() as use:
        mixer(torch.ones(1, 2))
    assert use.called == {id(mixer), id(mixer.called)}
    ((module, (file, line)),) = use.read.items()
    assert module == id(mixer.read)
    assert file == __file__
    assert line == Mixer.forward.__code__.co_firstlineno + 1


def test_nothing_is_watched_afterwards() -> None:
    before = nn.Module.__getattr__
    mixer = Mixer()
    with watched() as use:
        assert nn.Module.__getattr__ is not before
    mixer(torch.ones(1, 2))
    assert (use.called, use.read) == (set(), {})
    assert nn.Module.__getattr__ is before
