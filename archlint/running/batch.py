"""Batches that fit a model: what its class takes, in the shapes that its config states."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from archlint.core.blueprint import Role
from archlint.running.configs import configs

ROWS = 2
"""Examples in a batch."""
_LENGTHS = (32, 4096)
"""Tokens in a row: few, and as many as the attentions need that work on blocks or fixed grids."""


@dataclass(frozen=True)
class Batch:
    """Arguments of a model's forward, as real tensors of small values, and the modalities that they hold."""

    inputs: Mapping[str, Any]
    roles: frozenset[Role] = frozenset({Role.TEXT})
    extra: tuple[str, ...] = ()
    """Names of inputs that a plain batch of these modalities does not have."""

    def on(self, device: str) -> dict[str, Any]:
        """The arguments on ``device``."""
        return {name: value.to(device) if isinstance(value, Tensor) else value for name, value in self.inputs.items()}

    def plain(self) -> Batch:
        """The batch without its extra inputs."""
        kept = {name: value for name, value in self.inputs.items() if name not in self.extra}
        return replace(self, inputs=kept, extra=())


def whole(*shape: int) -> Tensor:
    """A mask that leaves nothing out."""
    return torch.ones(shape, dtype=torch.long, device="cpu")


def text_batches(model: nn.Module) -> Iterator[Batch]:
    """Batches of tokens alone, the plainest first: with labels where the class takes them.

    Shapes are ``(rows, tokens)``; labels of a classifier are ``(rows,)``. Each plain batch is followed by one with
    the token types that the class takes, which some demand in training.
    """
    takes = inspect.signature(type(model).forward).parameters
    if "input_ids" not in takes:
        return
    types = tuple(name for name in takes if name.endswith("token_type_ids"))
    for ids, mask in _tokens(model):
        inputs = {
            "input_ids": ids,
            "attention_mask": mask,
            "decoder_input_ids": ids.clone(),
        }
        plain = {name: value for name, value in inputs.items() if name in takes}
        for labels in ({"labels": ids.clone()}, {"labels": torch.zeros(ROWS, dtype=torch.long)}, {}):
            if not labels or "labels" in takes:
                yield Batch({**plain, **labels})
                if types:
                    yield Batch({**plain, **labels, **{name: torch.zeros_like(ids) for name in types}}, extra=types)


def _tokens(model: nn.Module) -> Iterator[tuple[Tensor, Tensor]]:
    """Token ids and their mask; where a config has codebooks, also in the layouts that models of audio codes take."""
    for length in _LENGTHS:
        yield whole(ROWS, length), whole(ROWS, length)
    length = _LENGTHS[0]
    books = dict.fromkeys(getattr(config, "num_codebooks", None) for config in configs(model))
    for count in (count for count in books if isinstance(count, int)):
        yield whole(ROWS * count, length), whole(ROWS, length)  # a row for each codebook
        yield whole(ROWS, length, count + 1), whole(ROWS, length)  # text, then a code of each book
