"""Rows of an embedding that a plan trains by their indices, as ``trainable_token_indices`` does."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from archlint.core.trial import Refusal


def out_of_bounds(model: nn.Module) -> Refusal | None:
    """What PEFT raises at an index that an embedding of ``model`` does not have: the meta device asks for no bounds."""
    from peft.tuners.trainable_tokens.layer import TrainableTokensLayer

    for layer in model.modules():
        if isinstance(layer, TrainableTokensLayer):
            embedding: Any = layer.get_base_layer()
            rows = torch.empty(len(embedding.weight), device="cpu")
            for indices in layer.token_indices.values():
                try:
                    rows[indices]
                except IndexError as error:
                    return Refusal("IndexError", str(error), rows=max(indices) + 1)
    return None
