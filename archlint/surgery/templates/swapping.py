"""What every patch file needs that puts other modules in the places of some."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from torch import nn


def _replace(model: nn.Module, others: Mapping[nn.Module, nn.Module]) -> None:
    """Put other modules where some stand, at all places that they have."""
    for parent in list(model.modules()):
        for name, child in parent._modules.items():
            if child is not None and child in others:
                parent._modules[name] = others[child]


def _divided(key: str, places: Collection[str]) -> tuple[str, str]:
    """The one of ``places`` that ``key`` lies in, and the rest; PEFT's prefix is cut.

    The place is empty where there is none.
    """
    path, rest = key.removeprefix("base_model.model."), ""
    while path and path not in places:
        path, _, name = path.rpartition(".")
        rest = f"{name}.{rest}" if rest else name
    return path, rest
