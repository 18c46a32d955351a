"""Deep copies of what is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from archlint.reading import layers, plain, tensors
from archlint.reading.values import Instance, Value

if TYPE_CHECKING:
    from archlint.reading.objects import Objects


def deep(interpreter: Objects, value: Value, memo: dict[int, Value] | None = None) -> Value:
    """A copy of ``value`` and of all that is in it; what is in several places stays one thing."""
    memo = {} if memo is None else memo
    if id(value) in memo:
        return memo[id(value)]
    interpreter.budget.step()
    made: Value
    if isinstance(value, Instance):
        made = Instance(value.cls, {}, set(value.buffers), value.finished, value.real, value.length)
        memo[id(value)] = made
        if interpreter.is_module(value):
            interpreter.budget.module()
        made.attributes.update({name: deep(interpreter, part, memo) for name, part in value.attributes.items()})
        return made
    if isinstance(value, dict):
        made = {}
        memo[id(value)] = made
        made.update({name: deep(interpreter, part, memo) for name, part in value.items()})
        return made
    if isinstance(value, list):
        made = []
        memo[id(value)] = made
        made.extend(deep(interpreter, part, memo) for part in value)
        return made
    if isinstance(value, tuple):
        made = tuple(deep(interpreter, part, memo) for part in value)
    elif isinstance(value, nn.Module):
        interpreter.budget.module()
        made = layers.copied(value)
    elif isinstance(value, nn.Parameter):
        made = tensors.parameter(value, value.requires_grad)
    else:
        made = set(value) if isinstance(value, set) and plain.is_small(value) else value
    memo[id(value)] = made
    return made
