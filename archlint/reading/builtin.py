"""Functions that Python has without an import, and those of its library, as far as constructors of models use them."""

from __future__ import annotations

import collections.abc
import inspect
import itertools
import numbers
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from archlint.reading import copying, installed, plain, tensors
from archlint.reading.plain import NotPlainError
from archlint.reading.values import (
    Bound,
    Class,
    External,
    Function,
    Instance,
    Native,
    Partial,
    Unknown,
    Value,
)

if TYPE_CHECKING:
    from archlint.reading.objects import Objects

_TYPES: Mapping[str, tuple[type, ...]] = {
    "builtins.int": (int,),
    "builtins.float": (float,),
    "builtins.str": (str,),
    "builtins.bool": (bool,),
    "builtins.list": (list,),
    "builtins.tuple": (tuple,),
    "builtins.dict": (dict,),
    "builtins.set": (set,),
    "builtins.bytes": (bytes,),
    "builtins.range": (range,),
    "builtins.type": (Class,),
    "builtins.object": (object,),
    "collections.OrderedDict": (dict,),
    "numbers.Number": (numbers.Number,),
    "torch.Tensor": (torch.Tensor,),
    "torch.dtype": (torch.dtype,),
    "torch.nn.Parameter": (nn.Parameter,),
} | {
    f"{package}.{name}": (getattr(collections.abc, name),)
    for package in ("collections.abc", "typing", "collections")
    for name in ("Iterable", "Sequence", "Mapping", "Collection", "Sized")
}


def call(interpreter: Objects, name: str, args: list[Value], kwargs: dict[str, Value]) -> Value:
    """What a function that needs no import gives.

    Raises:
        NotPlainError: nothing that can be told.
    """
    special = _SPECIAL.get(name)
    if special is not None:
        return special(interpreter, *args, **kwargs)
    if name in ("dict", "OrderedDict"):
        return table(interpreter, args, kwargs)
    function = plain.FUNCTIONS.get(name)
    if function is None:
        raise NotPlainError
    if name == "zip":
        args = _as_long_as_the_others(interpreter, args)
    key = kwargs.pop("key", None) if name in ("sorted", "max", "min") else None
    if key is not None:
        raise NotPlainError
    values = [_listed(interpreter, name, value) for value in args]
    for value in (*values, *kwargs.values()):
        if isinstance(value, Unknown):
            return Unknown(value.why)
    if name in ("list", "tuple", "set", "enumerate", "reversed", "sorted", "zip", "sum"):
        interpreter.budget.take(sum(len(value) for value in values if isinstance(value, (list, tuple))))
    return plain.bounded(function(*values, **kwargs))


_GO_THROUGH = frozenset({"list", "tuple", "set", "frozenset", "enumerate", "reversed", "sorted", "zip", "sum", "len"})
_GO_THROUGH |= {"max", "min", "all", "any"}


def _listed(interpreter: Objects, name: str, value: Value) -> Value:
    if isinstance(value, torch.Tensor) and name in ("int", "float", "bool"):
        if value.is_meta or value.numel() != 1:
            return Unknown("a tensor's numbers")
        return value.item()
    if name in _GO_THROUGH and not isinstance(value, (*plain.SCALARS, Unknown, list, tuple)):
        found = interpreter.elements(value)
        return Unknown("what is gone through", interpreter.is_module(value)) if found is None else found
    return value


def table(interpreter: Objects, args: list[Value], kwargs: dict[str, Value]) -> Value:
    """What ``dict(…)`` gives."""
    made: dict[Value, Value] = {}
    for source in args[:1]:
        if isinstance(source, Unknown):
            return source
        if isinstance(source, dict):
            interpreter.budget.take(len(source))
            made.update(source)
            continue
        for pair in interpreter.elements(source) or ():
            if isinstance(pair, (list, tuple)) and len(pair) == 2 and plain.is_key(pair[0]):
                made[pair[0]] = pair[1]
    interpreter.budget.take(len(made) + len(kwargs))
    made.update(kwargs)
    return made


def _getattr(interpreter: Objects, value: Value, name: Value, *default: Value) -> Value:
    if not isinstance(name, str):
        return Unknown("an attribute whose name is not known")
    return interpreter.attribute(value, name, None, *default)


def _hasattr(interpreter: Objects, value: Value, name: Value) -> Value:
    return interpreter.has(value, name) if isinstance(name, str) else Unknown("whether it has it")


def _setattr(interpreter: Objects, value: Value, name: Value, new: Value) -> None:
    if isinstance(name, str):
        interpreter.set_attribute(value, name, new)


def _delattr(interpreter: Objects, value: Value, name: Value) -> None:
    if isinstance(value, Instance) and isinstance(name, str):
        value.attributes.pop(name, None)


def _isinstance(interpreter: Objects, value: Value, kinds: Value) -> Value:
    if isinstance(value, Unknown):
        return Unknown(value.why)
    answers = [_is_a(interpreter, value, kind) for kind in _kinds(kinds)]
    if True in answers:
        return True
    return Unknown("of what class it is") if None in answers else False


def _kinds(kinds: Value) -> list[Value]:
    if isinstance(kinds, (tuple, list)):
        return [inner for kind in kinds for inner in _kinds(kind)]
    return [kinds]


def _is_a(interpreter: Objects, value: Value, kind: Value) -> bool | None:
    if not isinstance(kind, (Class, External)):
        return None
    if isinstance(kind, External) and kind.path in _TYPES:
        return isinstance(value, _TYPES[kind.path])
    if isinstance(value, Instance):
        if isinstance(value.cls, Class):
            return kind in value.cls.mro or any(installed.is_kind_of(base, kind) for base in value.cls.libraries)
        return installed.is_kind_of(value.cls, kind)
    if isinstance(value, nn.Module) and isinstance(kind, External):
        real = installed.real(kind.path)
        return isinstance(value, real) if isinstance(real, type) else False
    if isinstance(value, (*plain.SCALARS, *plain.CONTAINERS, torch.Tensor, nn.Module)):
        return False
    return None


def _issubclass(interpreter: Objects, cls: Value, kinds: Value) -> Value:
    for kind in _kinds(kinds):
        if isinstance(cls, Class):
            if kind in cls.mro or any(installed.is_kind_of(base, kind) for base in cls.libraries):
                return True
        elif isinstance(cls, External):
            if installed.is_kind_of(cls, kind):
                return True
        else:
            return Unknown("of what class it is")
    return False


def _type(interpreter: Objects, value: Value, *rest: Value) -> Value:
    if rest:
        return Unknown("a class that is made when the code runs", True)
    if isinstance(value, Instance):
        return value.cls
    if isinstance(value, nn.Module):
        return External(f"{type(value).__module__}.{type(value).__qualname__}")
    if isinstance(value, (*plain.SCALARS, *plain.CONTAINERS)):
        return External(f"builtins.{type(value).__name__}")
    return Unknown("what type it is")


def _callable(interpreter: Objects, value: Value) -> Value:
    if isinstance(value, Unknown):
        return value
    return isinstance(value, (Function, Bound, Class, External, Native, Partial)) or interpreter.is_module(value)


def _next(interpreter: Objects, value: Value, *default: Value) -> Value:
    found = interpreter.elements(value)
    if found is None:
        return Unknown("the first of what is not known", True)
    return found[0] if found else (default[0] if default else Unknown("the first of nothing"))


def _map(interpreter: Objects, function: Value, *sources: Value) -> Value:
    columns = [interpreter.elements(source) for source in sources]
    if any(column is None for column in columns):
        return Unknown("a list that is not known", True)
    return [interpreter.call(function, list(row), {}) for row in zip(*(c or [] for c in columns), strict=False)]


def _filter(interpreter: Objects, function: Value, source: Value) -> Value:
    found = interpreter.elements(source)
    if found is None:
        return Unknown("a list that is not known", True)
    return [value for value in found if function is None or interpreter.call(function, [value], {}) is True]


def _vars(interpreter: Objects, value: Value) -> Value:
    return dict(value.attributes) if isinstance(value, Instance) else Unknown("what it has")


def _nothing(interpreter: Objects, *args: Value, **kwargs: Value) -> None:
    return None


_SPECIAL: Mapping[str, Callable[..., Value]] = {
    "getattr": _getattr,
    "hasattr": _hasattr,
    "setattr": _setattr,
    "delattr": _delattr,
    "isinstance": _isinstance,
    "issubclass": _issubclass,
    "type": _type,
    "callable": _callable,
    "next": _next,
    "iter": lambda interpreter, value: value,
    "map": _map,
    "filter": _filter,
    "vars": _vars,
    "id": lambda interpreter, value: id(value),
    "print": _nothing,
    "property": lambda interpreter, function=None, *rest: _as_property(function),
    "staticmethod": lambda interpreter, function: function,
    "object": lambda interpreter: Unknown("an object"),
}


def _as_property(function: Value) -> Value:
    if isinstance(function, Function):
        function.kind = "property"
    return function


def library(interpreter: Objects, path: str, args: list[Value], kwargs: dict[str, Value]) -> Value:
    """What a function of Python's library, or of numpy, gives.

    Raises:
        NotPlainError: nothing that can be told.
    """
    top, _, name = path.partition(".")
    if top == "math":
        return plain.mathematics(name, args, kwargs)
    if top in ("numpy", "np"):
        return _array(interpreter, name, args, kwargs)
    function = _LIBRARY.get(path)
    if function is None:
        raise NotPlainError
    return function(interpreter, *args, **kwargs)


_ARRAYS: Mapping[str, str] = {"concatenate": "cat"} | {
    name: name
    for name in ("zeros", "ones", "arange", "linspace", "meshgrid", "stack", "einsum", "outer", "sin", "cos", "flip")
}
"""Functions of numpy, and those of torch that give the same."""


def _array(interpreter: Objects, name: str, args: list[Value], kwargs: dict[str, Value]) -> Value:
    """Of numpy what is used to count layers and to spread rates over them."""
    if name in ("ceil", "floor", "sqrt", "log2", "log", "exp", "prod", "power"):
        return plain.mathematics("pow" if name == "power" else name, args, {})
    if name in _ARRAYS:
        options = {"dim" if key == "axis" else key: value for key, value in kwargs.items()}
        if name == "meshgrid":
            options.setdefault("indexing", "xy")
        return tensors.call(_ARRAYS[name], args, options, interpreter.budget)
    if name in ("array", "asarray"):
        return args[0]
    if name in ("cumsum",) and isinstance(args[0], (list, tuple)) and plain.is_plain(args[0]):
        return list(itertools.accumulate(args[0]))
    if name in ("int64", "int32", "float32", "float64"):
        return args[0]
    raise NotPlainError


def _deepcopy(interpreter: Objects, value: Value, *_: Value) -> Value:
    return copying.deep(interpreter, value)


def _copy(interpreter: Objects, value: Value) -> Value:
    if isinstance(value, Instance):
        return Instance(value.cls, dict(value.attributes), set(value.buffers), value.finished, value.real, value.length)
    if isinstance(value, plain.CONTAINERS):
        interpreter.budget.take(len(value))
        return value.copy() if not isinstance(value, tuple) else value
    return value


def _reduce(interpreter: Objects, function: Value, source: Value, *start: Value) -> Value:
    values = interpreter.elements(source)
    if values is None:
        return Unknown("a list that is not known")
    values = [*start, *values]
    result = values[0] if values else Unknown("nothing to reduce")
    for value in values[1:]:
        result = interpreter.call(function, [result, value], {})
    return result


def _chain(interpreter: Objects, *sources: Value) -> Value:
    found: list[Value] = []
    for source in sources:
        values = interpreter.elements(source)
        if values is None:
            return Unknown("a list that is not known", True)
        interpreter.budget.take(len(values))
        found += values
    return found


def _from_iterable(interpreter: Objects, sources: Value) -> Value:
    return _chain(interpreter, *(interpreter.elements(sources) or []))


@dataclass(frozen=True, eq=False, slots=True)
class _Endless:
    """What ``itertools.repeat`` gives without a number."""

    value: Value


def _as_long_as_the_others(interpreter: Objects, args: list[Value]) -> list[Value]:
    lengths = [len(found) for arg in args if (found := interpreter.elements(arg)) is not None]
    if not lengths:
        return args
    interpreter.budget.take(min(lengths) * len(args))
    return [[arg.value] * min(lengths) if isinstance(arg, _Endless) else arg for arg in args]


def _repeat(interpreter: Objects, value: Value, times: Value = None) -> Value:
    if times is None:
        return _Endless(value)
    if not isinstance(times, int):
        return Unknown("it is not known how often")
    interpreter.budget.take(times)
    return [value] * times


def _product(interpreter: Objects, *sources: Value) -> Value:
    columns = [interpreter.elements(source) or [] for source in sources]
    count = 1
    for column in columns:
        count *= len(column)
    interpreter.budget.take(count * max(len(columns), 1))
    return list(itertools.product(*columns))


def _field(interpreter: Objects, default: Value = None, default_factory: Value = None, **_: Value) -> Value:
    return interpreter.call(default_factory, [], {}) if default_factory is not None else default


def _environ(interpreter: Objects, name: Value, default: Value = None) -> Value:
    return default


def _unchanged(interpreter: Objects, function: Value = None, *_: Value, **__: Value) -> Value:
    return function if isinstance(function, Function) else Native("a decorator", lambda inner: inner)


def _defaultdict(interpreter: Objects, *args: Value, **kwargs: Value) -> Value:
    return table(interpreter, args[1:] if args else [], kwargs)  # type: ignore[arg-type]


def _signature(interpreter: Objects, function: Value) -> Value:
    """The names of what a function or a class takes."""
    names: list[str] = []
    if isinstance(function, Native) and function.of is not None:
        function = function.of
    if isinstance(function, Class):
        found = function.find("__init__")
        names = list(interpreter.fields(function))
        function = found[1] if isinstance(found, tuple) else function
    if isinstance(function, Bound):
        function = function.function
    if isinstance(function, Function):
        spec = function.node.args
        names = [argument.arg for argument in (*spec.posonlyargs, *spec.args, *spec.kwonlyargs)]
    elif isinstance(function, External):
        found = installed.real(function.path)
        if not callable(found):
            raise NotPlainError
        names = list(inspect.signature(found).parameters)
    elif not isinstance(function, Class):
        raise NotPlainError
    return Instance(External("inspect.Signature"), {"parameters": {name: Unknown("a parameter") for name in names}})


_MAX_PATTERN = 80
_REPEATS = re.compile(r"[*+?{]")


def _searched(how: Callable[[str, str], re.Match[str] | None]) -> Callable[..., Value]:
    """A search for a pattern that is short, and quickly done with in a short text."""

    def search(interpreter: Objects, pattern: Value, text: Value) -> Value:
        if not (isinstance(pattern, str) and isinstance(text, str) and max(len(pattern), len(text)) <= _MAX_PATTERN):
            raise NotPlainError
        if len(_REPEATS.findall(pattern)) > 3 or re.search(r"\\\d|\)[*+?{]", pattern):
            raise NotPlainError
        try:
            found = how(pattern, text)
        except re.error as error:
            raise NotPlainError from error
        if found is None:
            return None
        parts = {"group": Native("group", found.group), "groups": Native("groups", found.groups)}
        return Instance(External("re.Match"), parts)

    return search


_LIBRARY: Mapping[str, Callable[..., Any]] = {
    "re.match": _searched(re.match),
    "re.fullmatch": _searched(re.fullmatch),
    "re.search": _searched(re.search),
    "inspect.signature": _signature,
    "copy.deepcopy": _deepcopy,
    "copy.copy": _copy,
    "functools.partial": lambda interpreter, function, *args, **kwargs: Partial(function, args, kwargs),
    "functools.reduce": _reduce,
    "functools.lru_cache": _unchanged,
    "functools.cache": _unchanged,
    "functools.wraps": _unchanged,
    "collections.OrderedDict": lambda interpreter, *args, **kwargs: table(interpreter, list(args), kwargs),
    "collections.defaultdict": _defaultdict,
    "collections.deque": lambda interpreter, source=(), **_: list(interpreter.elements(source) or []),
    "itertools.chain": _chain,
    "itertools.chain.from_iterable": _from_iterable,
    "itertools.repeat": _repeat,
    "itertools.product": _product,
    "dataclasses.field": _field,
    "os.environ.get": _environ,
    "os.getenv": _environ,
    "typing.cast": lambda interpreter, kind, value: value,
    "warnings.warn": _nothing,
}
