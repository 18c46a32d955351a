"""Real modules on the meta device that stand in for what the code would make."""

from __future__ import annotations

import ast
import inspect
import types
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from archlint.reading import configs, containers, installed, layers, plain, tensors
from archlint.reading.limits import MAX_MODULE_DEPTH, MAX_MODULES, TooMuchError
from archlint.reading.objects import Objects, RaisedError
from archlint.reading.values import Class, Function, Instance, Unknown, Value
from archlint.survey.source_code import WRITTEN

_ANSWERS = "_archlint_answers"
_PARTS = ("sub_configs", "sub_configs_defaults")
"""Where a config class declares its parts."""


class NotRunError(NotImplementedError):
    """A method of the repository's own code was called; that code is read, and nothing of it is run."""


class _NotRunAttributeError(NotRunError, AttributeError):
    """The same of a property: to ask whether there is one must be possible."""


class Unread(nn.Module):
    """In the place of a layer that is not known."""


_KEPT = frozenset(name for name in dir(nn.Module) if name != "forward") | {"tie_weights", "post_init", "init_weights"}
"""What the library's own classes do for everybody who looks at a model: the repository's way is not needed for that."""


class StandIns:
    """Makes each object and each class once."""

    def __init__(self, interpreter: Objects) -> None:
        self._interpreter = interpreter
        self._modules: dict[int, nn.Module] = {}
        self._classes: dict[Class, type] = {}
        self._configs: dict[int, Any] = {}
        self._config_classes: dict[Class, type] = {}
        self._kept: list[Value] = []

    def model(self, value: Value) -> nn.Module:
        """The model that stands in for ``value``."""
        model = self.module(value)
        _check_size(model)
        _to_meta(model)
        return model

    def path_of(self, model: nn.Module) -> dict[int, str]:
        """Where the objects of the code ended up, by their identity."""
        paths = {id(module): path for path, module in model.named_modules()}
        return {key: paths[id(module)] for key, module in self._modules.items() if id(module) in paths}

    def module(self, value: Value) -> nn.Module:
        if isinstance(value, nn.Module):
            return value
        if not isinstance(value, Instance):
            return Unread()
        if id(value) in self._modules:
            return self._modules[id(value)]
        made = self._empty(value)
        self._modules[id(value)] = made
        self._kept.append(value)
        self._fill(made, value)
        if isinstance(value.cls, Class):
            self._answer(made, value)
            if value.finished:
                _finish(made)
        return made

    def _empty(self, value: Instance) -> nn.Module:
        if isinstance(value.cls, Class):
            cls = self.module_class(value.cls)
        else:
            found = installed.real(value.cls.path)
            cls = found if isinstance(found, type) and issubclass(found, nn.Module) else Unread
        made: Any = object.__new__(cls)
        kind: Any = next((kind for kind in layers.CONTAINERS if isinstance(made, kind)), nn.Module)
        kind.__init__(made)
        return made  # type: ignore[no-any-return]

    def _fill(self, made: nn.Module, value: Instance) -> None:
        if isinstance(made, nn.ParameterList):
            made._size = len(containers.children(self._interpreter, value))
        elif isinstance(made, nn.ParameterDict):
            made._keys = dict.fromkeys(containers.children(self._interpreter, value))
        for name, part in value.attributes.items():
            if not name or "." in name:
                continue
            if self._interpreter.is_module(part) or (isinstance(part, Unknown) and containers.is_container(value)):
                made._modules[name] = self.module(part)
            elif isinstance(part, nn.Parameter):
                made._parameters[name] = part
            elif isinstance(part, torch.Tensor):
                if name in value.buffers:
                    made._buffers[name] = part.to("meta")
            elif self._interpreter.is_config(part):
                made.__dict__[name] = self.config(part)
            elif part is None and isinstance(value.cls, Class):
                made.__dict__[name] = None
            elif name not in made.__dict__ and not hasattr(nn.Module, name) and plain.is_plain(part):
                made.__dict__[name] = part

    # classes

    def module_class(self, cls: Class) -> type:
        if cls not in self._classes:
            own = self._library_class(cls)
            self._classes[cls] = own if own is not None else self._made_class(cls)
        return self._classes[cls]

    def _library_class(self, cls: Class) -> type | None:
        """The class itself, where a part of transformers defines it that may be imported."""
        found = installed.real(f"{cls.module.name}.{cls.name}") if cls.module.name.startswith("transformers.") else None
        return found if isinstance(found, type) else None

    def _made_class(self, cls: Class) -> type:
        bases = [base for base in map(self._base, cls.bases) if base is not None]
        if not any(issubclass(base, nn.Module) for base in bases) and self._interpreter.makes_modules(cls):
            bases.append(nn.Module)
        namespace = {"__module__": cls.module.name or "archlint", "__qualname__": cls.name}
        namespace |= {WRITTEN: (str(cls.module.file), cls.node.lineno)}  # type: ignore[dict-item]
        namespace |= dict(_members(cls))
        for attempt in (tuple(dict.fromkeys(bases)), (nn.Module,)):
            try:
                return types.new_class(cls.name, attempt, {}, lambda made: made.update(namespace))
            except Exception:  # bases whose layouts or metaclasses do not go together
                continue
        return Unread

    def _base(self, base: Value) -> type | None:
        if isinstance(base, Class):
            return self.module_class(base)
        found = installed.real(base.path)
        is_plain_base = isinstance(found, type) and found.__module__.partition(".")[0] in ("torch", "transformers")
        return found if is_plain_base else None

    # what methods answer

    def _answer(self, made: nn.Module, value: Instance) -> None:
        """Ask the code now for the parts of the model that its methods and properties hand out."""
        from transformers import PreTrainedModel

        if not isinstance(made, PreTrainedModel):
            return
        assert isinstance(value.cls, Class)
        answers: dict[str, str | None] = {}
        paths = {id(part): path for path, part in made.named_modules()}
        for name, function in _accessors(value.cls):
            found = self._asked(value, function)
            if found is None:
                answers[name] = None
            elif self._interpreter.is_module(found):
                part = found if isinstance(found, nn.Module) else self._modules.get(id(found))
                if part is not None and id(part) in paths:
                    answers[name] = paths[id(part)]
        made.__dict__[_ANSWERS] = answers

    def _asked(self, value: Instance, function: Function) -> Value:
        self._interpreter.trying += 1
        traces = dict(self._interpreter.traces)
        try:
            return self._interpreter.call_function(function, [value], {})
        except RaisedError:
            return Unknown("it raises")
        finally:
            self._interpreter.trying -= 1
            self._interpreter.traces = traces

    # configurations

    def config(self, value: Instance) -> Any:
        """The configuration as an object of transformers."""
        if id(value) in self._configs:
            return self._configs[id(value)]
        made: Any = object.__new__(self._config_class(value))
        self._configs[id(value)] = made
        self._kept.append(value)
        made.__dict__.update(_defaults())
        if value.real is not None:
            made.__dict__.update(vars(value.real))
        for name, part in value.attributes.items():
            if self._interpreter.is_config(part):
                made.__dict__[name] = self.config(part)
            elif isinstance(part, torch.dtype) or plain.is_plain(part):
                made.__dict__[name] = configs.number_type(part) if name in ("dtype", "torch_dtype") else part
        made.__dict__["_attn_implementation_internal"] = "eager"
        return made

    def _config_class(self, value: Instance) -> type:
        from transformers import PreTrainedConfig

        if not isinstance(value.cls, Class):
            return type(value.real) if value.real is not None else PreTrainedConfig
        if value.cls not in self._config_classes:
            namespace: dict[str, Any] = {"__module__": value.cls.module.name or "archlint"}
            parts = [self._interpreter.attribute(value.cls, name, None, {}) for name in _PARTS if value.cls.has(name)]
            if parts:  # else it has what transformers' class has, as when it is run
                declared = [name for part in parts if isinstance(part, dict) for name in part]
                namespace["sub_configs"] = dict.fromkeys(declared, PreTrainedConfig)
            for name, default in (("model_type", ""), ("attribute_map", {})):
                held = self._interpreter.attribute(value.cls, name, None, default)
                namespace[name] = held if plain.is_plain(held) else default
            made = types.new_class(
                value.cls.name, (configs.based_on(value.cls),), {}, lambda space: space.update(namespace)
            )
            self._config_classes[value.cls] = made
        return self._config_classes[value.cls]


def _defaults() -> dict[str, Any]:
    from transformers import PreTrainedConfig

    return dict(vars(PreTrainedConfig()))


def _accessors(cls: Class) -> Iterator[tuple[str, Function]]:
    """Properties, and methods that need nothing and are named for what they get."""
    seen = set[str]()
    for base in cls.read:
        for name, held in base.namespace.items():
            if name in seen or name in _KEPT or not isinstance(held, Function):
                continue
            seen.add(name)
            needed = len(held.node.args.args) - len(held.defaults)
            if held.kind == "property" or (held.kind == "function" and name.startswith("get_") and needed == 1):
                yield name, held


def _members(cls: Class) -> Iterator[tuple[str, Any]]:
    """The methods of a class as stubs, and its attributes as they are."""
    for name, held in cls.namespace.items():
        if not name.isidentifier() or (name.startswith("__") and name.endswith("__")):
            continue
        if isinstance(held, Function):
            if name not in _KEPT:
                yield name, _stub(cls, name, held)
        elif name not in _KEPT and plain.is_plain(held):
            yield name, held


def _stub(cls: Class, name: str, function: Function) -> Any:
    if function.kind == "property":
        return property(_getter(cls, name))
    if function.kind == "setter":
        return None
    made = _forward(cls, function) if name == "forward" and _is_linear(cls) else _method(cls, name)
    made.__name__ = name
    made.__qualname__ = f"{cls.name}.{name}"
    made.__module__ = cls.module.name or "archlint"
    made.__signature__ = _signature(function)  # type: ignore[attr-defined]
    if function.kind == "staticmethod":
        return staticmethod(made)
    return classmethod(made) if function.kind == "classmethod" else made


def _method(cls: Class, name: str) -> Callable[..., Any]:
    def stub(self: Any = None, *args: Any, **kwargs: Any) -> Any:
        answers = getattr(self, "__dict__", {}).get(_ANSWERS, {})
        if name not in answers:
            raise NotRunError(f"{cls.name}.{name} is the repository's own code, which is not run")
        return _answered(self, answers[name])

    return stub


def _getter(cls: Class, name: str) -> Callable[[Any], Any]:
    def get(self: Any) -> Any:
        answers = self.__dict__.get(_ANSWERS, {})
        if name not in answers:
            raise _NotRunAttributeError(f"{cls.name}.{name} is the repository's own code, which is not run")
        return _answered(self, answers[name])

    return get


def _answered(module: nn.Module, path: str | None) -> nn.Module | None:
    return None if path is None else module.get_submodule(path)


def _is_linear(cls: Class) -> bool:
    return any(installed.real(base.path) is nn.Linear for base in cls.libraries)


def _forward(cls: Class, function: Function) -> Callable[..., Any]:
    """The shapes of a linear layer whose own way to compute gives one tensor for one; else it is not run."""
    returns = [node.value for node in ast.walk(function.node) if isinstance(node, ast.Return)]
    gives_one = bool(returns) and not any(value is None or isinstance(value, ast.Tuple) for value in returns)
    spec = function.node.args
    takes_one = len(spec.args) - len(function.defaults) == 2 and not any(d is None for d in spec.kw_defaults)
    if not (gives_one and takes_one):
        return _method(cls, "forward")

    def forward(self: nn.Linear, inputs: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        return nn.Linear.forward(self, inputs)

    return forward


def _signature(function: Function) -> inspect.Signature:
    """The same names, kinds and plain defaults."""
    spec, parameter = function.node.args, inspect.Parameter
    names = [*spec.posonlyargs, *spec.args]
    defaults = [parameter.empty] * (len(names) - len(function.defaults)) + [
        value if plain.is_plain(value) else None for value in function.defaults
    ]
    made = []
    for place, (argument, default) in enumerate(zip(names, defaults, strict=True)):
        kind = parameter.POSITIONAL_ONLY if place < len(spec.posonlyargs) else parameter.POSITIONAL_OR_KEYWORD
        made.append(parameter(argument.arg, kind, default=default))
    if spec.vararg:
        made.append(parameter(spec.vararg.arg, parameter.VAR_POSITIONAL))
    for argument in spec.kwonlyargs:
        held = function.keyword_defaults.get(argument.arg, parameter.empty)
        default = held if held is parameter.empty or plain.is_plain(held) else None
        made.append(parameter(argument.arg, parameter.KEYWORD_ONLY, default=default))
    if spec.kwarg:
        made.append(parameter(spec.kwarg.arg, parameter.VAR_KEYWORD))
    try:
        return inspect.Signature(made)
    except ValueError:  # the same name twice
        return inspect.Signature([parameter("args", parameter.VAR_POSITIONAL)])


def _finish(made: nn.Module) -> None:
    """What transformers does at the end of a model's ``__init__``: gather what its parts declare, and tie weights."""
    from transformers import PreTrainedModel

    if not isinstance(made, PreTrainedModel):
        return
    config = made.__dict__.get("config")
    if config is None:
        return
    listed: Any = made._tied_weights_keys
    is_listed = listed is not None and not isinstance(listed, dict)
    if is_listed:
        made.__dict__["_tied_weights_keys"] = None
    made.__dict__["init_weights"] = lambda: made.tie_weights(recompute_mapping=False)
    try:
        PreTrainedModel.post_init(made)
    except Exception:  # keys that name what is not there: then nothing is tied
        made.__dict__.setdefault("all_tied_weights_keys", {})
    finally:
        del made.__dict__["init_weights"]
        if is_listed:
            del made.__dict__["_tied_weights_keys"]
    if is_listed and getattr(config, "tie_word_embeddings", True):
        _tie_as_listed(made)


def _tie_as_listed(made: Any) -> None:
    """As before transformers 5, when a class listed the weights that are tied: its output to its input embeddings."""
    try:
        head, embeddings = made.get_output_embeddings(), made.get_input_embeddings()
        if head is not None and head.weight.shape == embeddings.weight.shape:
            head._parameters["weight"] = embeddings.weight
    except (AttributeError, NotImplementedError):
        pass


def _check_size(model: nn.Module) -> None:
    """Count what is in a model before anything goes through it.

    Raises:
        TooMuchError: it is deeper, or shared in more ways, than any real one.
    """
    counts: dict[int, int] = {}
    on_path = set[int]()

    def count(module: nn.Module, depth: int) -> int:
        if depth > MAX_MODULE_DEPTH or id(module) in on_path:
            raise TooMuchError("the repository's own code nests layers more deeply than any model needs")
        if id(module) not in counts:
            on_path.add(id(module))
            counts[id(module)] = 1 + sum(count(child, depth + 1) for child in module._modules.values() if child)
            on_path.discard(id(module))
            if counts[id(module)] > MAX_MODULES:
                raise TooMuchError(f"the repository's own code makes more than {MAX_MODULES:,} modules")
        return counts[id(module)]

    count(model, 0)


def _to_meta(model: nn.Module) -> None:
    for module in model.modules():
        for name, buffer in module._buffers.items():
            if buffer is not None and not buffer.is_meta:
                module._buffers[name] = buffer.to("meta")
        for name, parameter in module._parameters.items():
            if parameter is not None and not parameter.is_meta:
                module._parameters[name] = tensors.parameter(parameter, parameter.requires_grad)
