"""A crash is told by the deepest line of the model's own code."""

from __future__ import annotations

import torch
from torch import nn

from archlint.running.crashes import crash_of


class Inner(nn.Module):
    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(hidden, torch.ones(3, 3))


class Outer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Inner()

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.inner(hidden)
        return found


def test_type_message_line_and_module() -> None:
    model = Outer()
    paths = {id(module): path for path, module in model.named_modules()}
    try:
        model(torch.ones(1, 2))
    except RuntimeError as error:
        crash = crash_of(error, paths)
    assert crash.type == "RuntimeError"
    assert "mat1 and mat2" in crash.message
    assert crash.file == __file__
    assert crash.line == Inner.forward.__code__.co_firstlineno + 1
    assert crash.at == "inner"
    assert str(crash) == f"RuntimeError: {crash.message} ({crash.file}:{crash.line})"


def test_an_error_from_nowhere_in_the_model_has_no_line() -> None:
    crash = crash_of(ValueError("of\nnobody"), {})
    assert (crash.message, crash.file, crash.at) == ("of nobody", None, None)
