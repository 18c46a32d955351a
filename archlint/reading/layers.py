"""Layers of torch, made as they are, on the meta device."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from archlint.reading import tensors
from archlint.reading.limits import MAX_COUNT
from archlint.reading.plain import SCALARS, NotPlainError, is_plain
from archlint.reading.values import Unknown, Value

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)
PLACEHOLDER = 1
"""Stands for a size that is not known."""


def make(cls: type[nn.Module], args: list[Value], kwargs: dict[str, Value]) -> tuple[nn.Module, list[str]]:
    """A layer, and the names of the sizes in it that are not known.

    Raises:
        NotPlainError: torch does not make one of these arguments.
    """
    rest, unknown = _rest(cls, args)
    arguments, more = _arguments(cls, args, kwargs)
    unknown += more
    key = _key(cls, rest, arguments)
    if key is None:
        return _made(cls, rest, arguments), unknown
    if key not in _prototypes():
        _prototypes()[key] = _made(cls, rest, arguments)
    return copied(_prototypes()[key]), unknown


@functools.cache
def _prototypes() -> dict[Any, nn.Module]:
    return {}


def _rest(cls: type[nn.Module], args: list[Value]) -> tuple[list[Value], list[str]]:
    """The arguments that have no name of their own, as those of recurrent layers have none."""
    kinds = [parameter.kind for parameter in _parameters(cls)]  # type: ignore[arg-type]
    if inspect.Parameter.VAR_POSITIONAL not in kinds:
        return [], []
    rest = args[kinds.index(inspect.Parameter.VAR_POSITIONAL) :]
    if issubclass(cls, nn.RNNBase) and any(isinstance(value, int) and value > MAX_COUNT for value in rest[2:]):
        raise NotPlainError  # the third is how many layers there are
    known = [value if not isinstance(value, Unknown) and _is_allowed(value) else PLACEHOLDER for value in rest]
    return known, [f"argument {place + 1}" for place, value in enumerate(rest) if known[place] is not value]


def _key(cls: type[nn.Module], rest: list[Value], arguments: Mapping[str, Value]) -> Any:
    if not all(isinstance(value, (*SCALARS, torch.dtype)) for value in (*rest, *arguments.values())):
        return None
    if len(_prototypes()) > 5_000:
        _prototypes().clear()
    named = [*enumerate(rest), *arguments.items()]
    return (cls, torch.get_default_dtype(), *((name, type(value), value) for name, value in named))


@functools.cache
def _parameters(cls: Any) -> tuple[inspect.Parameter, ...]:
    return tuple(inspect.signature(cls.__init__).parameters.values())[1:]


def _arguments(cls: type[nn.Module], args: list[Value], kwargs: dict[str, Value]) -> tuple[dict[str, Value], list[str]]:
    parameters = _parameters(cls)  # type: ignore[arg-type]
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    names = [parameter.name for parameter in parameters if parameter.kind not in variable]
    has_rest = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    given = dict(zip(names, args, strict=False))
    given.update({name: value for name, value in kwargs.items() if name in names or has_rest})
    given.pop("device", None)
    required = {parameter.name for parameter in parameters if parameter.default is parameter.empty}
    unknown = []
    for name, value in list(given.items()):
        if isinstance(value, Unknown) or not _is_allowed(value):
            if name in required:
                given[name] = PLACEHOLDER
                unknown.append(name)
            else:
                del given[name]
                if name not in ("p", "bias", "dropout", "dtype", "eps", "activation", "inplace", "momentum"):
                    unknown.append(name)
        elif isinstance(value, int) and value > MAX_COUNT and "layers" in name:
            raise NotPlainError
        elif isinstance(value, float) and value.is_integer() and name not in ("p", "dropout"):
            given[name] = int(value) if name in required else value
    return given, unknown


def _is_allowed(value: Value) -> bool:
    if isinstance(value, (list, tuple)):
        return len(value) <= MAX_COUNT and all(_is_allowed(part) for part in value)
    return is_plain(value) or isinstance(value, (torch.dtype, nn.Module, torch.Tensor))


def _made(cls: type[nn.Module], rest: list[Value], arguments: dict[str, Value]) -> nn.Module:
    names = {parameter.name for parameter in _parameters(cls)}  # type: ignore[arg-type]
    try:
        if "device" in names:
            return cls(*rest, **arguments, device="meta")
        with torch.device("meta"):
            return cls(*rest, **arguments)
    except Exception as error:  # torch refuses in many ways
        raise NotPlainError from error


def copied(layer: nn.Module) -> nn.Module:
    """Another layer like ``layer``, with parameters of its own."""
    if layer._modules:
        with torch.no_grad():
            import copy

            return copy.deepcopy(layer)
    other: nn.Module = type(layer).__new__(type(layer))
    state = vars(layer)
    for name, value in state.items():
        other.__dict__[name] = value.copy() if isinstance(value, dict) else value
    for name, parameter in layer._parameters.items():
        if parameter is not None:
            other._parameters[name] = tensors.parameter(parameter, parameter.requires_grad)
    return other
