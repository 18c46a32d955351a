"""torch's lists, sequences and tables of layers."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import nn

from archlint.reading import configs, installed, layers, tensors
from archlint.reading.values import Class, External, Instance, Unknown, Value

if TYPE_CHECKING:
    from archlint.reading.objects import Objects


def kind(value: Instance) -> type[nn.Module] | None:
    """The container of torch that it is, or comes from."""
    bases = value.cls.libraries if isinstance(value.cls, Class) else (value.cls,)
    for base in bases:
        found = installed.real(base.path)
        if isinstance(found, type) and issubclass(found, layers.CONTAINERS):
            return found
    return None


def is_container(value: Value) -> bool:
    return isinstance(value, Instance) and kind(value) is not None


def children(interpreter: Objects, value: Instance) -> dict[str, Value]:
    """The layers or parameters in it, by name, and what stands for one that is not known."""
    interpreter.budget.step(len(value.attributes) // 8)
    return {
        name: part
        for name, part in value.attributes.items()
        if interpreter.is_module(part)
        or isinstance(part, nn.Parameter)
        or (isinstance(part, Unknown) and name.isdigit())
        or (part is None and name.isdigit())
    }


def elements(interpreter: Objects, value: Instance) -> list[Value] | None:
    """What a loop over it goes through; ``None`` for what is no container."""
    if interpreter.is_config(value):
        return list(configs.names(value))
    found = kind(value)
    if found is None:
        return None
    parts = children(interpreter, value)
    return list(parts) if issubclass(found, (nn.ModuleDict, nn.ParameterDict)) else list(parts.values())


def fill(
    interpreter: Objects, made: Instance, args: list[Value], kwargs: dict[str, Value], node: ast.AST | None = None
) -> None:
    """What the constructor of a container does with its arguments."""
    found = kind(made)
    assert found is not None
    if issubclass(found, nn.Sequential):
        if len(args) == 1 and isinstance(args[0], dict):
            _update(interpreter, made, args[0], node)
        else:
            _extend(interpreter, made, args, node)
        return
    source = args[0] if args else next(iter(kwargs.values()), None)
    if source is None:
        return
    if issubclass(found, (nn.ModuleDict, nn.ParameterDict)):
        _update(interpreter, made, source, node)
    else:
        _extend(interpreter, made, source, node)


def _update(interpreter: Objects, made: Instance, source: Value, node: ast.AST | None = None) -> None:
    if isinstance(source, Instance):
        source = children(interpreter, source)
    if isinstance(source, (list, tuple)):
        source = {pair[0]: pair[1] for pair in source if isinstance(pair, (list, tuple)) and len(pair) == 2}
    if not isinstance(source, dict):
        interpreter.gap(node, "layers that are not known are put into a table", "", made)
        return
    for name, part in source.items():
        if isinstance(name, str):
            _put(interpreter, made, name, part, node)


def _extend(interpreter: Objects, made: Instance, source: Value, node: ast.AST | None = None) -> None:
    values = source if isinstance(source, list) else interpreter.elements(source)
    if values is None:
        interpreter.gap(node, "layers that are not known are put into a list", "", made)
        return
    for part in values:
        _append(interpreter, made, part, node)


def _append(interpreter: Objects, made: Instance, part: Value, node: ast.AST | None = None) -> Instance:
    _put(interpreter, made, str(made.length), part, node)
    made.length += 1
    return made


def _put(interpreter: Objects, made: Instance, name: str, part: Value, node: ast.AST | None = None) -> None:
    found = kind(made)
    if found in (nn.ParameterList, nn.ParameterDict) and isinstance(part, torch.Tensor):
        part = part if isinstance(part, nn.Parameter) else tensors.parameter(part)
    if isinstance(part, Unknown):
        interpreter.gap(node, f"a layer of a list is not known: {part.why}", name, made)
        part = Unknown(part.why)
    interpreter.effects += 1
    interpreter.budget.take(1)
    made.attributes[name] = part


def _insert(interpreter: Objects, made: Instance, place: Value, part: Value) -> None:
    parts = list(children(interpreter, made).values())
    if isinstance(place, int):
        parts.insert(place, part)
        _renumber(interpreter, made, parts)


def _renumber(interpreter: Objects, made: Instance, parts: list[Value]) -> None:
    for name in children(interpreter, made):
        del made.attributes[name]
    made.length = 0
    for part in parts:
        _append(interpreter, made, part)


def item(interpreter: Objects, value: Instance, index: Value) -> Value:
    """An element, or a part of a list.

    Raises:
        LookupError: there is none.
    """
    found = kind(value)
    if found is None:
        if interpreter.is_config(value) and isinstance(index, str):
            return interpreter.attribute(value, index)
        getter = value.find("__getitem__")
        if isinstance(getter, tuple):
            return interpreter.call_function(getter[1], [value, index], {})
        return Unknown("an element", interpreter.is_module(value))
    parts = children(interpreter, value)
    if isinstance(index, str):
        return parts[index]
    held = list(parts.values())
    if isinstance(index, slice):
        made = Instance(value.cls if isinstance(value.cls, External) else External(f"torch.nn.{found.__name__}"))
        _extend(interpreter, made, held[index])
        return made
    return held[index] if isinstance(index, int) else Unknown("an element", True)


def set_item(interpreter: Objects, value: Instance, index: Value, part: Value) -> None:
    if kind(value) is None:
        if interpreter.is_config(value) and isinstance(index, str):
            interpreter.set_attribute(value, index, part)
        setter = value.find("__setitem__")
        if isinstance(setter, tuple):
            interpreter.call_function(setter[1], [value, index, part], {})
        return
    if isinstance(index, str):
        _put(interpreter, value, index, part)
    elif isinstance(index, int):
        names = list(children(interpreter, value))
        if -len(names) <= index < len(names):
            _put(interpreter, value, names[index], part)


def _pop(interpreter: Objects, value: Instance, index: Value = -1) -> Value:
    parts = children(interpreter, value)
    if isinstance(index, str):
        return value.attributes.pop(index, Unknown("nothing"))
    held = list(parts.values())
    if not isinstance(index, int) or not -len(held) <= index < len(held):
        return Unknown("nothing")
    popped = held.pop(index)
    _renumber(interpreter, value, held)
    return popped


def _items(interpreter: Objects, value: Instance) -> Value:
    return list(children(interpreter, value).items())


METHODS: Mapping[str, Callable[..., Value]] = {
    "append": lambda interpreter, value, part: _append(interpreter, value, part),
    "extend": lambda interpreter, value, parts: _extend(interpreter, value, parts),
    "insert": _insert,
    "pop": _pop,
    "update": lambda interpreter, value, parts: _update(interpreter, value, parts),
    "items": _items,
    "keys": lambda interpreter, value: list(children(interpreter, value)),
    "values": lambda interpreter, value: list(children(interpreter, value).values()),
    "__len__": lambda interpreter, value: len(children(interpreter, value)),
}
