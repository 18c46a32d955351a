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
        for module, cls, (attributes, empty) in states:
            module.__class__ = cls
            module.__dict__.clear()
            module.__dict__.update(attributes)
            for registry in empty:
                registry.clear()
        for parameter, requires_grad in trainable:
            if parameter.requires_grad is not requires_grad:
                parameter.requires_grad_(requires_grad)
        for config, values in settings:
            vars(config).clear()
            vars(config).update(values)


def _state(module: nn.Module) -> tuple[dict[str, Any], list[dict[Any, Any]]]:
    """A module's attributes, with copies of torch's own registries: parameters, buffers, children and hooks.

    Most of those are empty, and need no copy: they come by themselves.
    """
    attributes = dict(module.__dict__)
    empty: list[dict[Any, Any]] = []
    for name, value in module.__dict__.items():
        if isinstance(value, dict) and name.startswith("_"):
            if value:
                attributes[name] = value.copy()
            else:
                empty.append(value)
    return attributes, empty
