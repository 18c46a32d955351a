"""Code that asks meta tensors for values gets answers, and everything is as before afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archlint.running.on_meta import runnable

MODEL = nn.ModuleList([nn.Linear(2, 2) for _ in range(12)])


def meta(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


ASKED: dict[str, tuple[Callable[[], Any], Any]] = {
    "a condition is true": (lambda: bool((meta(3) > 0).any()), True),
    "a number is one": (lambda: meta(1).sum().item(), 1.0),
    "a list is ones": (lambda: meta(3, dtype=torch.long).tolist(), [1, 1, 1]),
    "a mask is full": (lambda: meta(4, 2)[meta(4) > 0].shape, (4, 2)),
    "a selection is all": (lambda: torch.masked_select(meta(2, 3), meta(2, 3) > 0).shape, (6,)),
    "every place is true": (lambda: [place.shape for place in torch.where(meta(2, 3) > 0)], [(6,), (6,)]),
    "all are unique": (lambda: torch.unique(meta(5)).shape, (5,)),
    "equal is equal": (lambda: torch.equal(meta(2), meta(2)), True),
    "each is repeated once": (lambda: torch.repeat_interleave(meta(4), meta(4, dtype=torch.long)).shape, (4,)),
    "counts are as many as asked for": (lambda: torch.bincount(meta(4, dtype=torch.long), minlength=9).shape, (9,)),
    "real numbers mix with meta": (lambda: (meta(3) + torch.ones(3, device="cpu")).device.type, "meta"),
    "a loop goes through every module there is": (lambda: [int(n) for n in (meta(12) > 0).nonzero()], list(range(12))),
    "a loop over stacked experts is short": (lambda: len((meta(200) > 0).nonzero()), 8),
    "autocast is left alone": (lambda: torch.autocast(device_type="meta", enabled=False).__enter__(), None),
}


@pytest.mark.parametrize("name", ASKED)
def test_what_is_asked_is_answered(name: str) -> None:
    ask, answer = ASKED[name]
    with runnable(MODEL):
        assert ask() == answer


def test_masked_writes_keep_the_gradient() -> None:
    values = meta(3, 2).requires_grad_()
    with runnable(MODEL):
        whole = meta(5, 2).clone()
        whole[meta(5) > 0] = values.sum()
        whole.sum().backward()
    assert values.grad is not None


def test_real_tensors_keep_their_values() -> None:
    with runnable(MODEL):
        assert torch.tensor([1.5], device="cpu").item() == 1.5
        assert torch.tensor([True, False], device="cpu").nonzero().tolist() == [[0]]


def test_everything_is_as_before_afterwards() -> None:
    autocast = torch.autocast
    with pytest.raises(ValueError, match="on the way"), runnable(MODEL):
        raise ValueError("on the way")
    assert torch.autocast is autocast
    assert torch.empty(1).device.type == "cpu"
    with pytest.raises(RuntimeError):
        meta(1).item()


def test_experts_are_computed_in_one_product_within_the_block_only() -> None:
    class Config:
        _experts_implementation_internal = "eager"

    model = nn.Module()
    model.config = Config()  # type: ignore[assignment]
    with runnable(model):
        assert model.config._experts_implementation_internal == "batched_mm"
    assert model.config._experts_implementation_internal == "eager"
