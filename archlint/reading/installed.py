"""What names of installed libraries stand for, and which of their classes are layers or configurations."""

from __future__ import annotations

import functools
import importlib
import inspect
import re
import sys
import types
from typing import Any

import torch
from torch import nn

from archlint.reading.values import Class, External, Value

STANDARD = frozenset(sys.stdlib_module_names) | {"numpy", "packaging", "typing_extensions", "__future__"}
"""Packages whose names hold no layers."""
_IMPORTED = re.compile(r"transformers(\.(?!models\.)\w+)*$|transformers\.models\.(auto|\w+\.configuration_\w+)(\.|$)")
"""Modules of transformers that may be imported: none that defines a model."""


@functools.cache
def real(path: str) -> Any:
    """The object of torch, transformers or Python that a path names; ``None`` where there is none to be had."""
    top, *parts = path.split(".")
    if top == "torch":
        return _inner(torch, parts)
    if top == "transformers":
        return _of_transformers(path)
    if top in STANDARD and top in sys.modules and top not in ("os", "sys", "subprocess", "builtins", "importlib"):
        return _inner(sys.modules[top], parts)
    return getattr(sys.modules["builtins"], parts[0], None) if top == "builtins" and len(parts) == 1 else None


def _inner(holder: Any, parts: list[str]) -> Any:
    for part in parts:
        if not isinstance(holder, (types.ModuleType, type)):
            return None
        holder = inspect.getattr_static(holder, part, None)
        if isinstance(holder, (staticmethod, classmethod)):
            return None
    return holder


def _of_transformers(path: str) -> Any:
    module, _, name = path.rpartition(".")
    found = holder(module, name) if module else None
    module = found or module
    if not _IMPORTED.match(module):
        return None
    try:
        return getattr(importlib.import_module(module), name, None)
    except Exception:  # what an import of a part of transformers needs may not be installed
        return None


@functools.cache
def holder(package: str, name: str) -> str | None:
    """The module of transformers that defines what a package of it gives as ``name``."""
    import transformers

    known: dict[str, str] = getattr(transformers, "_class_to_module", {})
    module = known.get(name)
    if module is None:
        return None
    full = f"transformers.{module}"
    return full if full != package and full.startswith(package) else None


def is_known(base: External) -> bool:
    return real(base.path) is not None or base.package in STANDARD or base.package in ("torch", "transformers")


@functools.cache
def is_module_class(base: External) -> bool:
    found = real(base.path)
    return issubclass(found, nn.Module) if isinstance(found, type) else not is_known(base)


@functools.cache
def is_config_class(base: External) -> bool:
    from transformers import PreTrainedConfig

    found = real(base.path)
    return isinstance(found, type) and issubclass(found, PreTrainedConfig)


def is_kind_of(base: External, kind: Value) -> bool:
    """Whether a library's class is, or comes from, another."""
    if base == kind:
        return True
    mine, other = real(base.path), real(kind.path) if isinstance(kind, External) else None
    return isinstance(mine, type) and isinstance(other, type) and issubclass(mine, other)


def is_enumeration(cls: Class) -> bool:
    return any(base.package == "enum" or base.name in ("ExplicitEnum", "StrEnum") for base in cls.libraries)
