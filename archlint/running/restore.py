"""Undo whatever was done to a module tree, also when it was left half done."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from torch import nn

from archlint.running.configs import configs


@contextlib.contextmanager
def restored(model: nn.Module) -> Iterator[None]:
    """Give ``model`` back as it was: its modules, their classes and attributes, its configs and what was trainable."""
    states = [(module, type(module), _state(module)) for module in model.modules()]
    trainable = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    settings = [(config, dict(vars(config))) for config in configs(model)]
    try:
        yield
    finally:
        for module, cls, state in states:
            module.__class__ = cls
            module.__dict__.clear()
            module.__dict__.update(state)
        for parameter, requires_grad in trainable:
            parameter.requires_grad_(requires_grad)
        for config, values in settings:
            vars(config).clear()
            vars(config).update(values)


def _state(module: nn.Module) -> dict[str, Any]:
    """A module's attributes, with copies of torch's own registries: parameters, buffers, children and hooks."""
    attributes = module.__dict__.items()
    return {
        name: value.copy() if name.startswith("_") and isinstance(value, dict) else value for name, value in attributes
    }
