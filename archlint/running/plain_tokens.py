"""Tokens that are nothing but text to a model."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from torch import nn

from archlint.running.configs import configs


def plain_tokens(model: nn.Module) -> Iterator[int]:
    """Tokens, from 1 on, that no config gives a meaning to, such as that of padding or of an image."""
    special = {
        value
        for config in configs(model)
        for name, value in vars(config).items()
        if name.endswith(("_token_id", "_token_index")) and isinstance(value, int)
    }
    return (token for token in itertools.count(1) if token not in special)
