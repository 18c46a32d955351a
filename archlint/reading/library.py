"""What names of installed libraries stand for: torch, transformers, and Python's own.

Nothing of a library is called but what is listed here; whatever else is called gives what is not known.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import re
import types
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from archlint.reading import automatic, builtin, configs, containers, layers, modules, plain, tensors
from archlint.reading.installed import (
    STANDARD,
    is_config_class,
    is_known,
    real,
)
from archlint.reading.plain import NotPlainError
from archlint.reading.values import Class, External, Import, Instance, Native, Partial, Unknown, Value

if TYPE_CHECKING:
    from archlint.reading.objects import Objects


def is_importable(interpreter: Objects, module: str, name: str | None) -> bool:
    """Whether an import gives something."""
    top = module.partition(".")[0]
    if interpreter.sources.own(module) is not None:
        return True
    if top == "transformers":
        found = interpreter.resolve(Import(module, name))
        return not isinstance(found, Unknown) and not (
            isinstance(found, External) and name is not None and real(found.path) is None
        )
    if top == "torch":
        return real(f"{module}.{name}" if name else module) is not None
    return top in STANDARD


# attributes


def member(interpreter: Objects, external: External, name: str) -> Value:
    """What ``external.name`` is; ``NotImplemented`` where it has none such."""
    path = f"{external.path}.{name}"
    if external.package == "transformers":
        return _member_of_transformers(interpreter, external, name)
    found = real(path)
    if found is not None and isinstance(found, (*plain.SCALARS, torch.dtype)):
        return str(found) if isinstance(found, str) else found
    if found is None and external.package == "torch" and isinstance(real(external.path), (types.ModuleType, type)):
        try:
            importlib.import_module(path) if path in ("torch.utils.checkpoint", "torch.nn.attention") else None
        except ImportError:
            return NotImplemented
        if not hasattr(real(external.path), name):
            return NotImplemented
    if external.path == "os" and name == "environ":
        return External(path)
    return External(path)


def _member_of_transformers(interpreter: Objects, external: External, name: str) -> Value:
    if name == "__version__":
        return str(real("transformers").__version__) if real("transformers") else Unknown("its version")
    found = real(external.path)
    if isinstance(found, type):
        held = inspect.getattr_static(found, name, None)
        if isinstance(held, (*plain.SCALARS, *plain.CONTAINERS)) and plain.is_plain(held):
            return held
        return External(f"{external.path}.{name}") if held is not None else NotImplemented
    if isinstance(found, types.ModuleType) or found is None:
        return interpreter.resolve(Import(external.path, name))
    return External(f"{external.path}.{name}")


def of_layer(interpreter: Objects, layer: nn.Module, name: str) -> Value:
    """An attribute of a layer of torch."""
    if name == "_modules":
        return modules.Parts(interpreter, layer)
    for held in (layer._parameters, layer._buffers, layer._modules):
        if name in held:
            return held[name]
    value = vars(layer).get(name, NotImplemented)
    if value is not NotImplemented:
        return value if plain.is_plain(value) else Unknown(f"a layer's {name}")
    native = modules.METHODS.get(name)
    if native is not None:
        return Native(name, functools.partial(native, interpreter, layer))
    held = inspect.getattr_static(type(layer), name, None)
    return NotImplemented if held is None else Unknown(f"a layer's {name}")


def set_in_layer(interpreter: Objects, layer: nn.Module, name: str, value: Value) -> None:
    """Replace a part of a layer of torch, as tying weights does."""
    if isinstance(value, nn.Parameter):
        layer._parameters[name] = value
        interpreter.effects += 1
    elif isinstance(value, torch.Tensor) and name in layer._parameters:
        layer._parameters[name] = tensors.parameter(value)
    elif value is None and name in layer._parameters:
        layer._parameters[name] = None
    elif isinstance(value, nn.Module):
        layer._modules[name] = value
    elif interpreter.is_module(value) or (isinstance(value, Unknown) and name in layer._modules):
        interpreter.gap(None, f"a part of a {type(layer).__name__} of torch is replaced: {name}")
    elif plain.is_plain(value) and name in vars(layer) and not name.startswith("_"):
        layer.__dict__[name] = value


def inherited(interpreter: Objects, receiver: Instance, name: str, after: Class | None) -> Value:
    """What an object has of the library's classes that its own comes from."""
    if isinstance(receiver.cls, Class):
        order = receiver.cls.mro[receiver.cls.mro.index(after) + 1 :] if after in receiver.cls.mro else receiver.cls.mro
        bases = [base for base in order if isinstance(base, External)]
    else:
        bases = [receiver.cls]
    if name == "__init__":
        return Native(name, lambda *args, **kwargs: initialize(interpreter, receiver, bases, list(args), kwargs, None))
    if interpreter.is_config(receiver):
        return configs.inherited(interpreter, receiver, name)
    if interpreter.is_module(receiver):
        found = containers.METHODS.get(name) if containers.is_container(receiver) else None
        found = found or modules.METHODS.get(name)
        if found is not None:
            return Native(name, functools.partial(found, interpreter, receiver))
        if name == "training":
            return True
        if name == "base_model":
            return modules.base_model(interpreter, receiver)
    return _of_bases(bases, name)


def _of_bases(bases: list[External], name: str) -> Value:
    for base in bases:
        held = inspect.getattr_static(real(base.path), name, None) if isinstance(real(base.path), type) else None
        if isinstance(held, (*plain.SCALARS, *plain.CONTAINERS)) and plain.is_plain(held):
            return held
        if held is not None and not name.startswith("__"):
            return Unknown(f"{name} of {base.name}")
    return NotImplemented


def inherited_by_class(interpreter: Objects, cls: Value, name: str) -> Value:
    """What a class has of the library's classes that it comes from."""
    if not isinstance(cls, Class):
        return NotImplemented
    if name == "__init__":
        return Native(
            name,
            lambda made, *args, **kwargs: initialize(interpreter, made, list(cls.libraries), list(args), kwargs, None),
            cls,
        )
    if interpreter.makes_modules(cls):
        if name in ("_from_config", "from_config"):
            return Native(name, lambda config, **kwargs: automatic.build(interpreter, cls, config, kwargs))
        if name == "from_pretrained":
            return Native(name, lambda *_, **__: Unknown(f"{cls.name} is loaded from somewhere else", True))
    if interpreter.makes_configs(cls) and name in ("from_dict", "from_pretrained"):
        return configs.maker(interpreter, cls, name)
    return _of_bases(list(cls.libraries), name)


# making and calling


def initialize(
    interpreter: Objects,
    made: Instance,
    bases: list[External] | None,
    args: list[Value],
    kwargs: dict[str, Value],
    node: ast.AST | None,
) -> None:
    """What the ``__init__`` of a library's class does to an object of a class that comes from it."""
    if bases is None:
        bases = list(made.cls.libraries) if isinstance(made.cls, Class) else [made.cls]
    if interpreter.is_config(made):
        configs.initialize_base(interpreter, made, args, kwargs)
        return
    if not interpreter.is_module(made):
        if any(base.path.startswith("builtins.dict") for base in bases):
            made.attributes.update(kwargs)
        return
    for base in bases:
        if not is_known(base):
            interpreter.gap(node or _statement(made), f"{base.path} is not read")
            continue
        found = real(base.path)
        if isinstance(found, type) and issubclass(found, nn.Module) and found is not nn.Module:
            _initialize_as(interpreter, made, found, args, kwargs, node)
            return


def _statement(made: Instance) -> ast.AST | None:
    return made.cls.node if isinstance(made.cls, Class) else None


def _initialize_as(
    interpreter: Objects,
    made: Instance,
    found: type[nn.Module],
    args: list[Value],
    kwargs: dict[str, Value],
    node: ast.AST | None,
) -> None:
    from transformers import PreTrainedModel

    if issubclass(found, PreTrainedModel):
        config = kwargs.get("config", args[0] if args else Unknown("no config"))
        made.attributes["config"] = config
        made.attributes["generation_config"] = Unknown("how it generates")
    elif issubclass(found, layers.CONTAINERS):
        containers.fill(interpreter, made, args, kwargs)
    elif found.__init__ is not nn.Module.__init__:
        layer = _layer(interpreter, found, args, kwargs, node)
        if isinstance(layer, nn.Module):
            made.attributes.update({name: value for name, value in vars(layer).items() if not name.startswith("_")})
            made.attributes.update(layer._parameters)
            made.attributes.update(layer._modules)
            made.attributes.update(layer._buffers)
            made.buffers.update(layer._buffers)


def _layer(
    interpreter: Objects, cls: type[nn.Module], args: list[Value], kwargs: dict[str, Value], node: ast.AST | None
) -> Value:
    interpreter.budget.module()
    try:
        layer, unknown = layers.make(cls, args, kwargs)
    except NotPlainError:
        interpreter.gap(node, f"torch makes no {cls.__name__} of these arguments, as they are read")
        return Unknown(f"a {cls.__name__} that torch does not make", False)
    if unknown and next(layer.parameters(), None) is not None:
        interpreter.gap(node, f"the size of a {cls.__name__} is not known: {', '.join(unknown)}")
    return layer


def call(
    interpreter: Objects, callee: External, args: list[Value], kwargs: dict[str, Value], node: ast.AST | None
) -> Value:
    """What calling a library's function or class gives."""
    package = callee.package
    if callee.name == "__init__" and args and isinstance(args[0], Instance):
        initialize(interpreter, args[0], [External(callee.path.rpartition(".")[0])], args[1:], kwargs, node)
        return None
    try:
        if package == "builtins":
            return builtin.call(interpreter, callee.name, args, kwargs)
        if package == "torch":
            return _call_torch(interpreter, callee, args, kwargs, node)
        if package == "transformers":
            return _call_transformers(interpreter, callee, args, kwargs, node)
        if package == "packaging" and callee.name in ("parse", "Version") and len(args) == 1:
            return _version(args[0])
        if package in STANDARD:
            return builtin.library(interpreter, callee.path, args, kwargs)
    except NotPlainError:
        return Unknown(f"what {callee.path} gives")
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        return Unknown(f"what {callee.path} gives: {type(error).__name__}")
    return Unknown(f"{callee.path} is not read", True)


def _version(text: Value) -> Any:
    from packaging.version import InvalidVersion, Version

    if not isinstance(text, str) or len(text) > 100:
        raise NotPlainError
    try:
        return Version(text)
    except InvalidVersion as error:
        raise NotPlainError from error


_ABSENT = {
    "torch.cuda.is_available": False,
    "torch.cuda.is_bf16_supported": False,
    "torch.cuda.device_count": 0,
    "torch.distributed.is_initialized": False,
    "torch.distributed.is_available": False,
    "torch.distributed.get_world_size": 1,
    "torch.distributed.get_rank": 0,
    "torch.backends.mps.is_available": False,
    "torch.jit.is_scripting": False,
    "torch.jit.is_tracing": False,
}
"""What is said of a machine and a run: a plain one is taken."""
_WRAPPERS = frozenset({"weight_norm", "spectral_norm", "orthogonal"})


def _call_torch(
    interpreter: Objects, callee: External, args: list[Value], kwargs: dict[str, Value], node: ast.AST | None
) -> Value:
    found = real(callee.path)
    if isinstance(found, type) and issubclass(found, nn.Module):
        if issubclass(found, layers.CONTAINERS):
            interpreter.budget.module()
            made = Instance(External(f"torch.nn.{found.__name__}"))
            containers.fill(interpreter, made, args, kwargs, node)
            return made
        if not found.__module__.startswith("torch.nn.modules.") or found is nn.Module:
            return Instance(External("torch.nn.Module")) if found is nn.Module else Unknown(f"a {found.__name__}", True)
        return _layer(interpreter, found, args, kwargs, node)
    if found in (nn.Parameter, nn.Buffer):
        return _parameter(interpreter, found, args, kwargs, node)
    if callee.path in _ABSENT:
        return _ABSENT[callee.path]
    if callee.path.startswith("torch.nn.init."):
        return args[0] if args else None
    if callee.path.startswith("torch.nn.utils.") and callee.name in _WRAPPERS:
        return _wrapped(interpreter, found, args, kwargs, node)
    if callee.path in ("torch.compile", "torch.jit.script", "torch.jit.ignore"):
        return args[0] if args else Native("a decorator", lambda inner: inner)
    if callee.path == "torch.nn.utils.skip_init" and args:
        return interpreter.call(args[0], args[1:], kwargs, node)
    if callee.path == "torch.from_numpy" and args:
        return args[0]
    if callee.path == "torch.get_default_dtype":
        return torch.get_default_dtype()
    if callee.path.count(".") == 1 and tensors.is_maker(callee.name):
        return tensors.call(callee.name, args, kwargs, interpreter.budget)
    return Unknown(f"what {callee.path} gives", callee.name == "load")


def _parameter(
    interpreter: Objects, cls: Any, args: list[Value], kwargs: dict[str, Value], node: ast.AST | None
) -> Value:
    data = args[0] if args else kwargs.get("data")
    if cls is nn.Buffer:
        return data
    learns = kwargs.get("requires_grad", args[1] if len(args) > 1 else True)
    if not isinstance(data, torch.Tensor):
        interpreter.gap(node, "the size of a parameter is not known")
        data = torch.empty(layers.PLACEHOLDER, device="meta")
    return tensors.parameter(data, learns is not False)


def _wrapped(
    interpreter: Objects, function: Any, args: list[Value], kwargs: dict[str, Value], node: ast.AST | None
) -> Value:
    """A layer whose weight is computed from others."""
    layer = args[0] if args else kwargs.get("module")
    options = {name: value for name, value in kwargs.items() if name != "module"}
    if not isinstance(layer, nn.Module) or not all(
        isinstance(v, plain.SCALARS) for v in (*args[1:], *options.values())
    ):
        interpreter.gap(node, "a layer whose weight is computed from others is not known")
        return layer
    try:
        return function(layer, *args[1:], **options)
    except Exception as error:  # torch refuses in many ways
        raise NotPlainError from error


def _call_transformers(
    interpreter: Objects, callee: External, args: list[Value], kwargs: dict[str, Value], node: ast.AST | None
) -> Value:
    *_, owner, name = callee.path.split(".")
    if owner.startswith("Auto") or (owner == "_BaseAutoModelClass"):
        return automatic.call(interpreter, owner, name, args, kwargs, node)
    if name == "SubConfigSpec":
        return Instance(callee, configs.specification(args, kwargs))
    if name in ("get_activation", "ACT2FN"):
        return activation(interpreter, args[0] if args else None)
    if name == "get_logger":
        return Unknown("a logger")
    found = real(callee.path)
    if isinstance(found, type):
        if is_config_class(callee):
            return configs.make(interpreter, callee, found, kwargs)
        if issubclass(found, nn.Module):
            return _layer(interpreter, found, args, kwargs, node)
        return Unknown(f"a {found.__name__}")
    if re.match(r"is_\w+_(available|enabled|greater_or_equal)", name) and callable(found):
        return _asked(found, args)
    if name == "is_flash_attention_requested":
        return False  # attention is the plain one, as configs say
    if owner.endswith("Config"):
        return configs.of_class(interpreter, callee, args, kwargs)
    if name == "interval":
        return Native(name, lambda default=None, **_: default)
    if found is None and name[:1].isupper():
        return Unknown(f"transformers has no {name} that can be read", True)
    return Unknown(f"what {name} gives")


def _asked(function: Any, args: list[Value]) -> Value:
    """What transformers says of the packages that are installed."""
    if not all(isinstance(arg, (bool, int, str)) for arg in args):
        raise NotPlainError
    try:
        return bool(function(*args))
    except Exception as error:  # a question of a version that does not parse, say
        raise NotPlainError from error


# tables


def is_table(external: External) -> bool:
    return external.name in ("ACT2FN", "ACT2CLS", "CONFIG_MAPPING", "environ") or "MAPPING" in external.name


def contains(interpreter: Objects, external: External, value: Value) -> Value:
    found = real(external.path)
    if external.name in ("ACT2FN", "CONFIG_MAPPING") or external.name.endswith("MAPPING_NAMES"):
        return value in found if found is not None and isinstance(value, str) else Unknown("what is in it")
    if external.name.endswith("MAPPING"):
        return automatic.lists(interpreter, external, value)
    return Unknown("what is in it")


def table_entry(interpreter: Objects, external: External, index: Value) -> Value:
    if external.name == "ACT2FN":
        return activation(interpreter, index)
    if external.name == "ACT2CLS":
        return _activation_class(index)
    if external.name == "CONFIG_MAPPING" and isinstance(index, str):
        return configs.known_type(index)
    return automatic.entry(interpreter, external, index)


def _activation_class(name: Value) -> Value:
    from transformers.activations import ACT2CLS

    found = ACT2CLS.get(name) if isinstance(name, str) else None
    cls, options = found if isinstance(found, tuple) else (found, {})
    if cls is None:
        return Unknown("an activation")
    return Partial(External(f"{cls.__module__}.{cls.__qualname__}"), (), dict(options))


def given(external: External) -> Value:
    """What an import of a library's name gives: a layer, where the library has made one."""
    found = real(external.path) if external.path.startswith("transformers.activations.") else None
    return found if isinstance(found, nn.Module) else external


def activation(interpreter: Objects, name: Value) -> Value:
    """The layer that transformers has for the name of an activation."""
    from transformers.activations import ACT2FN

    if not isinstance(name, str) or name not in ACT2FN:
        return Unknown("an activation")
    interpreter.budget.module()
    layer: nn.Module = ACT2FN[name]
    return layer.to("meta") if any(True for _ in layer.parameters()) else layer


elements = containers.elements
item = containers.item
set_item = containers.set_item

__all__ = ["elements", "item", "set_item"]
