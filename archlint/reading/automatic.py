"""transformers' Auto classes: the model class for a configuration, by their tables of names."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch

from archlint.reading import configs, installed
from archlint.reading.values import Class, External, Import, Instance, Unknown, Value

if TYPE_CHECKING:
    from archlint.reading.objects import Objects


def call(
    interpreter: Objects, owner: str, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST | None
) -> Value:
    """What a class method of an Auto class gives."""
    if owner in ("AutoConfig",):
        return _config(interpreter, name, args, kwargs)
    config = args[0] if args else kwargs.get("config")
    if name not in ("from_config", "_from_config") or not isinstance(config, Instance):
        return Unknown(f"{owner}.{name} loads what is not here", True)
    cls = model_class(interpreter, owner, config)
    if isinstance(cls, Unknown):
        return cls
    return build(interpreter, cls, config, kwargs)


def _config(interpreter: Objects, name: str, args: list[Value], kwargs: dict[str, Value]) -> Value:
    if name == "for_model":
        rest = dict(kwargs)
        model_type = args[0] if args else rest.pop("model_type", None)
        if isinstance(model_type, str):
            return interpreter.call(configs.known_type(model_type), [], rest)
    return Unknown("a configuration that is loaded from somewhere else")


def model_class(interpreter: Objects, auto: str, config: Instance) -> Value:
    """The class that an Auto class makes of ``config``: the repository's own, or one of transformers."""
    own = interpreter.attribute(config, "auto_map", None, None)
    reference = own.get(auto) if isinstance(own, dict) else None
    if isinstance(reference, str) and "--" not in reference and isinstance(config.cls, Class):
        module, _, name = reference.rpartition(".")
        found = interpreter.resolve(Import(module, name))
        if isinstance(found, Class):
            return found
    model_type = _type_of(interpreter, config.cls) or interpreter.attribute(config, "model_type", None, "")
    name_ = _table(auto).get(model_type) if isinstance(model_type, str) else None
    if isinstance(name_, (tuple, list)):
        name_ = name_[0]
    if name_ is None:
        return Unknown(f"{auto} has no class for the model type {model_type!r}"[:120], True)
    found = interpreter.resolve(Import("transformers", name_))
    return found if isinstance(found, Class) else Unknown(f"the class {name_} is not read", True)


def _table(auto: str) -> dict[str, str | tuple[str, ...]]:
    """The names of the classes of an Auto class, by model type."""
    from transformers.models.auto import modeling_auto

    return _names(getattr(getattr(modeling_auto, auto, None), "_model_mapping", None))


def _names(mapping: Any) -> dict[str, str | tuple[str, ...]]:
    """What is in one of transformers' tables by model type, which have config classes for keys."""
    table: dict[str, str | tuple[str, ...]] = getattr(mapping, "_model_mapping", {})
    return table


def _type_of(interpreter: Objects, cls: Value) -> Value:
    return interpreter.attribute(cls, "model_type", None, "") if isinstance(cls, (Class, External)) else cls


def lists(interpreter: Objects, table: External, cls: Value) -> Value:
    """Whether one of the tables of Auto classes has a model class for a config class."""
    found = installed.real(table.path)
    return _type_of(interpreter, cls) in _names(found) if found is not None else Unknown("what is in it")


def entry(interpreter: Objects, table: External, cls: Value) -> Value:
    """The model class that one of the tables of Auto classes has for a config class."""
    name = _names(installed.real(table.path)).get(_type_of(interpreter, cls))
    name = name[0] if isinstance(name, (tuple, list)) else name
    if name is None:
        return Unknown(f"an entry of {table.name}", True)
    found = interpreter.resolve(Import("transformers", name))
    return found if isinstance(found, Class) else Unknown(f"the class {name} is not read", True)


_OPTIONS = frozenset(
    {"config", "attn_implementation", "experts_implementation", "dtype", "torch_dtype", "trust_remote_code"}
    | {"code_revision", "use_flash_attention_2"}
)
"""Arguments of ``from_config`` that do not go on to the constructor."""


def build(interpreter: Objects, cls: Value, config: Value, kwargs: Mapping[str, Value] | None = None) -> Value:
    """A model, in the type of numbers that its configuration names."""
    if not isinstance(config, Instance):
        return Unknown("a model of a configuration that is not known", True)
    rest = {name: value for name, value in (kwargs or {}).items() if name not in _OPTIONS}
    with number_type(interpreter.attribute(config, "dtype", None, None)):
        return interpreter.call(cls, [config], rest)


@contextlib.contextmanager
def number_type(wanted: Value) -> Iterator[None]:
    """Make floating-point tensors in this type."""
    wanted = configs.number_type(wanted)
    before = torch.get_default_dtype()
    if isinstance(wanted, torch.dtype) and wanted.is_floating_point and wanted.itemsize > 1:
        torch.set_default_dtype(wanted)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
