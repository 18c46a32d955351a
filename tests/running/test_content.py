"""What follows from a batch's numbers is known on meta; what follows from a weight is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archlint.running.on_meta import runnable

IDS = torch.tensor([[1, 7, 7], [7, 2, 3]])
MODEL = nn.Embedding(8, 4, device="meta")

KNOWN: dict[str, Callable[[Tensor], Any]] = {
    "numbers": lambda ids: ids.tolist(),
    "one number": lambda ids: ids[0, 1].item() + 1,
    "a condition": lambda ids: bool((ids > 9).any()),
    "a computed length": lambda ids: torch.ceil(ids.sum(-1) / 2).int().tolist(),
    "a view of a view": lambda ids: ids.T[1:].flatten().tolist(),
    "a mask's places": lambda ids: (ids == 7).nonzero().tolist(),
    "what a mask chooses": lambda ids: ids[ids == 7].shape,
    "rows by a list": lambda ids: ids[:, [2, 0]].tolist(),
    "what is made beside": lambda ids: (torch.arange(3) * ids.shape[0] + torch.ones(3, dtype=torch.long)).tolist(),
    "what is written out": lambda ids: torch.tensor([ids[0].max(), 4]).tolist(),
    "repeats": lambda ids: torch.repeat_interleave(torch.arange(3), ids[1]).tolist(),
    "what is unique": lambda ids: ids.unique().tolist(),
    "a change in place": lambda ids: ids.clone().masked_fill_(ids == 7, 0).tolist(),
    "what is filled bit by bit": lambda ids: filled(ids).tolist(),
    "what is put on another device": lambda ids: ids.cpu().tolist(),
}


def filled(ids: Tensor) -> Tensor:
    found = torch.empty(3, dtype=torch.long)
    found[0] = 5
    found[1:] = ids[1, 1:]
    return found


@pytest.mark.parametrize("name", KNOWN)
def test_what_the_inputs_decide_is_as_on_any_device(name: str) -> None:
    ask = KNOWN[name]
    with runnable(MODEL):
        found = ask(IDS.to("meta"))
    assert found == ask(IDS)


def test_a_mask_tells_how_much_it_chooses_of_what_is_not_known() -> None:
    with runnable(MODEL):
        ids = IDS.to("meta")
        embedded = MODEL(ids)
        mask = (ids == 7)[..., None].expand_as(embedded)
        assert embedded[ids == 7].shape == (3, 4)
        assert embedded[mask].shape == (12,)
        assert embedded.masked_select(mask).shape == (12,)


def test_what_a_weight_decides_stays_open() -> None:
    with runnable(MODEL):
        ids = IDS.to("meta")
        chosen = MODEL(ids).argmax(-1)
        assert chosen.tolist() == [[1, 1, 1], [1, 1, 1]]
        ids += chosen  # from now on the ids are open too
        assert ids.tolist() == [[1, 1, 1], [1, 1, 1]]


def test_a_tensor_in_the_place_of_a_freed_one_is_not_taken_for_it() -> None:
    with runnable(MODEL):
        for _ in range(50):
            IDS.to("meta")
            assert torch.empty((2, 3), dtype=torch.long).tolist() == [[1, 1, 1], [1, 1, 1]]


def test_random_numbers_are_not_known() -> None:
    with runnable(MODEL):
        assert torch.randint(5, 9, (3,)).tolist() == [1, 1, 1]
