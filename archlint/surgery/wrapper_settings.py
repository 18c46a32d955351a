"""What tells one wrapper of a class from another: what a patch is made for, and what it must refuse."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from torch import nn

_MOST = 8
"""Kinds of wrappers of one class that are measured; numbers with more values are places rather than settings."""
_CONFIG = re.compile(r"\bself\.config\.(\w+)")


def only_linear(module: nn.Module) -> str | None:
    """The name of the one linear in ``module``, where nothing else in it is a matrix."""
    if isinstance(module, (nn.Sequential, nn.ModuleList, nn.ModuleDict)):
        return None
    linears = [name for name, child in module.named_children() if type(child) is nn.Linear]
    matrices = [name for name, parameter in module.named_parameters() if parameter.ndim > 1]
    if len(linears) != 1 or matrices != [f"{linears[0]}.weight"]:
        return None
    return linears[0]


def variants(modules: Iterable[nn.Module], inner: str) -> list[nn.Module]:
    """One module of each kind that differs in its settings, evenly chosen where there are many."""
    found = list({repr(sorted(_settings(module, inner))): module for module in modules}.values())
    step = max(1, (len(found) - 1) / (_MOST - 1))
    return [found[round(place * step)] for place in range(min(len(found), _MOST))]


def settings_of(modules: Sequence[nn.Module], inner: str) -> dict[str, list[Any]]:
    """The values of each setting among ``modules``; one of a child or of the config has a dot in its name."""
    found: dict[str, list[Any]] = {}
    for module in modules:
        for name, value in _settings(module, inner):
            values = found.setdefault(name, [])
            if not any(value is known or (value == known and type(value) is type(known)) for known in values):
                values.append(value)
    return {name: values for name, values in found.items() if len(values) <= _MOST}


def _settings(module: nn.Module, inner: str) -> Iterator[tuple[str, Any]]:
    yield from _plain(module)
    for name, child in module.named_children():
        if name != inner:
            yield name, type(child).__name__
            yield from ((f"{name}.{setting}", value) for setting, value in _plain(child))
    config = getattr(module, "config", None)
    cls: type = type(module)
    for name in _config_names(cls):
        value = getattr(config, name, None)
        if _is_plain(value):
            yield f"config.{name}", value


def _plain(module: nn.Module) -> Iterator[tuple[str, Any]]:
    for name, value in vars(module).items():
        if _is_plain(value) and not name.startswith("_") and name != "training":
            yield name, value
    for name, tensor in (*module._parameters.items(), *module._buffers.items()):
        yield name, None if tensor is None else "a tensor"


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float, str))


@functools.cache
def _config_names(cls: type) -> tuple[str, ...]:
    """The settings of its config that the code of a class reads."""
    try:
        return tuple(dict.fromkeys(_CONFIG.findall(inspect.getsource(cls))))
    except (OSError, TypeError):
        return ()
