"""Undo whatever was done to a module tree, also when it was left half done."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from torch import nn

_REGISTRIES = ("_parameters", "_buffers", "_modules")


@contextlib.contextmanager
def restored(model: nn.Module) -> Iterator[None]:
    """Give ``model`` back as it was: its modules, their classes and attributes, its config and what was trainable."""
    states = [(module, type(module), _state(module)) for module in model.modules()]
    trainable = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    config = getattr(model, "config", None)
    settings = dict(vars(config)) if config is not None else {}
    try:
        yield
    finally:
        for module, cls, state in states:
            module.__class__ = cls
            module.__dict__.clear()
            module.__dict__.update(state)
        for parameter, requires_grad in trainable:
            parameter.requires_grad_(requires_grad)
        if config is not None:
            vars(config).clear()
            vars(config).update(settings)


def _state(module: nn.Module) -> dict[str, Any]:
    state = dict(module.__dict__)
    for name in _REGISTRIES:
        state[name] = state[name].copy()
    for name, value in state.items():
        if name.endswith("_hooks") or name.startswith("_forward_hooks") or name.startswith("_forward_pre_hooks"):
            state[name] = value.copy()
    return state
