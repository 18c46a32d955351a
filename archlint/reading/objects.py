"""Objects of the code that is read: what they have, and what calling them gives."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from archlint.reading import configs, installed, library, modules, plain, tensors
from archlint.reading.limits import MAX_CALLS, Budget, TooMuchError
from archlint.reading.plain import NotPlainError
from archlint.reading.sources import Sources
from archlint.reading.values import (
    Bound,
    Class,
    External,
    Function,
    Import,
    Instance,
    Module,
    Native,
    Partial,
    Scope,
    Super,
    Unknown,
    Value,
)


class RaisedError(Exception):
    """What the code that is read raises, where it is in a ``try`` that may catch it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(eq=False, slots=True)
class Frame:
    """A call that is under way, or a module or class whose statements are."""

    module: Module
    scopes: tuple[Scope, ...]
    """The innermost first."""
    function: Function | None = None
    receiver: Value = None
    """The first argument of a method."""
    yielded: list[Value] | None = None
    pending: list[Value] = field(default_factory=list)
    """What is returned where it is not known that it is."""
    globals: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Trace:
    """A gap, before it is known where its module ends up."""

    module: Instance | None
    name: str
    file: str
    line: int
    why: str


class Objects:
    """Attributes and calls. What a library's objects do is in :mod:`archlint.reading.library`."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self.budget = Budget()
        self.traces: dict[tuple[str, int, str, str], Trace] = {}
        self.frames: list[Frame] = []
        self.at: ast.AST | None = None
        """The statement that is under way."""
        self.trying = 0
        """How many ``try`` statements are under way."""
        self.effects = 0
        """How often a module got a part."""
        self._modules: dict[str, Module | None] = {}

    # what the statements and the library bring

    def run(self, function: Function, scope: Scope, receiver: Value) -> Value:
        raise NotImplementedError

    def fill(self, module: Module) -> None:
        raise NotImplementedError

    # gaps

    def gap(self, node: ast.AST | None, why: str, name: str = "", holder: Instance | None = None) -> None:
        """Note what may be missing from a module: by default from the one that is being made."""
        frame = self.frames[-1]
        line = getattr(node or self.at, "lineno", 0)
        if holder is None:
            holder = next((f.receiver for f in reversed(self.frames) if self.is_module(f.receiver)), None)
        key = (str(frame.module.file), line, why, name)
        if len(self.traces) < 1000:
            self.traces.setdefault(key, Trace(holder, name, str(frame.module.file), line, why))

    def raise_(self, node: ast.AST | None, name: str) -> Value:
        """Raise where something may catch it; what nothing catches is a wrong turn that the reading took."""
        if self.trying:
            raise RaisedError(name)
        return Unknown(f"it raises {name}")

    # modules and imports

    def module(self, name: str) -> Module | None:
        """A module of the repository or of transformers, with its names; ``None`` for one that is not read."""
        if name not in self._modules:
            path = self.sources.own(name) or self.sources.of_library(name)
            self._modules[name] = None
            if path is not None:
                parts = tuple(name.split("."))
                is_package = path.name == "__init__.py" and parts[-1] != "__init__"
                made = Module(name, parts if is_package else parts[:-1], path)
                self._modules[name] = made
                self.fill(made)
        return self._modules[name]

    def absolute(self, module: Module, level: int, name: str | None) -> str | None:
        """The full name of what is imported; ``None`` where it lies outside of the repository."""
        if not level:
            return name
        package = module.package
        if level - 1 > len(package):
            return None
        base = package[: len(package) - (level - 1)]
        return ".".join((*base, *((name,) if name else ())))

    def resolve(self, wanted: Import) -> Value:
        """What an import gives."""
        if wanted.name is None:
            return self.module(wanted.module) or External(wanted.module)
        module = self._package(wanted.module, wanted.name)
        if module is None:
            inner = self.module(f"{wanted.module}.{wanted.name}" if wanted.module else wanted.name)
            return inner or library.given(External(f"{wanted.module}.{wanted.name}"))
        if wanted.name in module.names:
            return self.name_of(module, wanted.name)
        inner = self.module(f"{module.name}.{wanted.name}")
        return inner or Unknown(f"{module.name} has no {wanted.name}")

    def _package(self, name: str, wanted: str) -> Module | None:
        """The module that has ``wanted``: transformers' packages give the names of the modules in them."""
        own = self.module(name) if name else None
        if own is not None and (wanted in own.names or name.partition(".")[0] != self.sources.library.name):
            return own
        holder = installed.holder(name, wanted) if name.partition(".")[0] == self.sources.library.name else None
        return self.module(holder) if holder else own

    def name_of(self, module: Module, name: str) -> Value:
        value = module.names[name]
        if isinstance(value, Import):
            module.names[name] = Unknown(f"{name} imports itself")
            value = module.names[name] = self.resolve(value)
        return value

    # classes

    def is_module(self, value: Value) -> bool:
        """Whether it is a layer, or a model."""
        return isinstance(value, nn.Module) or (isinstance(value, Instance) and self.makes_modules(value.cls))

    def makes_modules(self, cls: Value) -> bool:
        if isinstance(cls, Class):
            if cls.makes_modules is None:
                bases = [base for base in cls.libraries if installed.is_known(base) or not _is_data(cls)]
                cls.makes_modules = any(installed.is_module_class(base) for base in bases)
            return cls.makes_modules
        return isinstance(cls, External) and installed.is_module_class(cls)

    def is_config(self, value: Value) -> bool:
        return isinstance(value, Instance) and self.makes_configs(value.cls)

    def makes_configs(self, cls: Value) -> bool:
        if isinstance(cls, Class):
            if cls.makes_configs is None:
                cls.makes_configs = any(installed.is_config_class(base) for base in cls.libraries)
            return cls.makes_configs
        return isinstance(cls, External) and installed.is_config_class(cls)

    # attributes

    def attribute(self, value: Value, name: str, node: ast.AST | None = None, default: Value = ...) -> Value:
        """What ``value.name`` is; ``default`` where it has none such, if one is given."""
        found = self._attribute(value, name)
        if found is not NotImplemented:
            return found
        if default is not ...:
            return default
        raised = self.raise_(node, "AttributeError")
        return Unknown(f"there is no {name}") if isinstance(raised, Unknown) else raised

    def has(self, value: Value, name: str) -> bool | Unknown:
        found = self._attribute(value, name)
        if isinstance(found, Unknown):
            return found
        return found is not NotImplemented

    def _attribute(self, value: Value, name: str) -> Value:
        if isinstance(value, Unknown):
            return Unknown(value.why, value.may_hold_modules)
        if isinstance(value, Instance):
            return self._of_instance(value, name)
        if isinstance(value, Class):
            return self._of_class(value, name)
        if isinstance(value, Super):
            return self._bound(value.receiver, _found(value.receiver, name, value.after), name, value.after)
        if isinstance(value, Module):
            if name in value.names:
                return self.name_of(value, name)
            return self.module(f"{value.name}.{name}") or NotImplemented
        if isinstance(value, External):
            return library.member(self, value, name)
        if isinstance(value, nn.Module):
            return library.of_layer(self, value, name)
        if isinstance(value, torch.Tensor):
            if tensors.has_method(name):
                return Native(name, lambda *args, **kwargs: tensors.method(value, name, [*args], kwargs, self.budget))
            try:
                return tensors.attribute(value, name)
            except NotPlainError:
                return Unknown(f"a tensor's {name}")
        if isinstance(value, (*plain.SCALARS, *plain.CONTAINERS, range)):
            if plain.has_method(value, name):
                return Native(name, lambda *args, **kwargs: self.method(value, name, [*args], kwargs))
            if name in ("value", "name") and isinstance(value, (str, int)):
                return value  # of an enumeration, whose members are plain here
            return NotImplemented
        if isinstance(value, Function):
            return value.name if name in ("__name__", "__qualname__") else Unknown(f"a function's {name}")
        if isinstance(value, Partial) and name == "func":
            return value.function
        return Unknown(f"{type(value).__name__} has {name}")

    def method(self, value: Value, name: str, args: list[Value], kwargs: dict[str, Value]) -> Value:
        try:
            return plain.call_method(value, name, args, kwargs, self.budget)
        except LookupError as error:
            return self.raise_(None, type(error).__name__)

    def _of_instance(self, value: Instance, name: str) -> Value:
        if name == "__class__":
            return value.cls
        if name == "__dict__":
            return dict(value.attributes)
        if name == "_modules" and self.is_module(value):
            return modules.Parts(self, value)
        if self.is_config(value):
            return configs.attribute(self, value, name)
        found = value.find(name)
        if isinstance(found, tuple) and isinstance(found[1], Function) and found[1].kind == "property":
            return self.call_function(found[1], [value], {})
        if name in value.attributes:
            return value.attributes[name]
        bound = self._bound(value, found, name, None)
        if bound is NotImplemented and isinstance(value.cls, Class):
            getter = value.cls.find("__getattr__")
            if isinstance(getter, tuple):
                return Unknown(f"{value.cls.name} looks {name} up by itself")
            if any(not installed.is_known(base) for base in value.cls.libraries):
                return Unknown(f"{name} may be of a base that is not read", True)
        return bound

    def _bound(self, receiver: Value, found: Any, name: str, after: Class | None) -> Value:
        if isinstance(found, tuple):
            owner, held = found
            if isinstance(held, Function):
                if held.kind == "property":
                    return self.call_function(held, [receiver], {})
                if held.kind == "staticmethod":
                    return held
                if held.kind == "classmethod":
                    return Bound(held, receiver.cls if isinstance(receiver, Instance) else receiver)
                return Bound(held, receiver) if isinstance(receiver, Instance) else held
            if isinstance(held, Import):
                return self.name_of(owner.module, name)
            return held
        if isinstance(receiver, Instance):
            return library.inherited(self, receiver, name, after)
        return library.inherited_by_class(self, receiver, name)

    def _of_class(self, value: Class, name: str) -> Value:
        if name in ("__name__", "__qualname__"):
            return value.name
        found = value.find(name)
        if isinstance(found, tuple) and isinstance(found[1], Function) and found[1].kind == "property":
            return Unknown("a property of a class")
        return self._bound(value, found, name, None)

    def set_attribute(self, target: Value, name: str, value: Value, node: ast.AST | None = None) -> None:
        if isinstance(target, nn.Module):
            library.set_in_layer(self, target, name, value)
            return
        if isinstance(target, Class):
            target.namespace[name] = value
            return
        if not isinstance(target, Instance):
            return
        if self.is_config(target):
            configs.set_attribute(self, target, name, value)
            return
        found = target.find(f"{name}.setter") if isinstance(target.cls, Class) else None
        if isinstance(found, tuple):
            self.call_function(found[1], [target, value], {})
            return
        if isinstance(value, Unknown) and value.may_hold_modules and self.is_module(target):
            self.gap(node, value.why, name)
        if self.is_module(value) or isinstance(value, nn.Parameter):
            self.effects += 1
        self.budget.take(1)
        target.attributes[name] = value

    # calls

    def call(self, callee: Value, args: list[Value], kwargs: dict[str, Value], node: ast.AST | None = None) -> Value:
        self.budget.step()
        if isinstance(callee, Function):
            return self.call_function(callee, args, kwargs)
        if isinstance(callee, Bound):
            return self.call_function(callee.function, [callee.receiver, *args], kwargs)
        if isinstance(callee, Class):
            return self.instantiate(callee, args, kwargs, node)
        if isinstance(callee, Native):
            try:
                return callee.call(*args, **kwargs)
            except NotPlainError:
                return Unknown(f"what {callee.name} gives")
            except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RuntimeError) as error:
                return Unknown(f"what {callee.name} gives: {type(error).__name__}")
        if isinstance(callee, Partial):
            return self.call(callee.function, [*callee.args, *args], {**callee.kwargs, **kwargs}, node)
        if isinstance(callee, External):
            return library.call(self, callee, args, kwargs, node)
        if isinstance(callee, Unknown):
            return Unknown(callee.why, callee.may_hold_modules)
        if self.is_module(callee):
            return Unknown("what a layer computes")
        if isinstance(callee, Instance):
            found = callee.find("__call__")
            if isinstance(found, tuple):
                return self.call_function(found[1], [callee, *args], kwargs)
        return Unknown(f"what a {type(callee).__name__} gives")

    def call_function(self, function: Value, args: list[Value], kwargs: dict[str, Value]) -> Value:
        if not isinstance(function, Function):
            return self.call(function, args, kwargs)
        if len(self.frames) >= MAX_CALLS:
            raise TooMuchError("the repository's own code calls itself more deeply than any model needs")
        scope = self.bind(function, args, kwargs)
        return self.run(function, scope, args[0] if args and function.owner is not None else None)

    def bind(self, function: Function, args: list[Value], kwargs: dict[str, Value]) -> Scope:
        """The names that a function's arguments get."""
        spec = function.node.args
        names = [argument.arg for argument in (*spec.posonlyargs, *spec.args)]
        scope: Scope = dict(zip(names, args, strict=False))
        if spec.vararg:
            scope[spec.vararg.arg] = tuple(args[len(names) :])
        allowed = {argument.arg for argument in (*spec.args, *spec.kwonlyargs)}
        rest = {}
        for name, value in kwargs.items():
            if name in allowed:
                scope[name] = value
            else:
                rest[name] = value
        if spec.kwarg:
            scope[spec.kwarg.arg] = rest
        first = len(names) - len(function.defaults)
        for name, value in zip(names[first:], function.defaults, strict=True):
            scope.setdefault(name, value)
        for name, value in function.keyword_defaults.items():
            scope.setdefault(name, value)
        for name in (*names, *(argument.arg for argument in spec.kwonlyargs)):
            scope.setdefault(name, Unknown(f"{name} is not given"))
        return scope

    def instantiate(
        self, cls: Class, args: list[Value], kwargs: dict[str, Value], node: ast.AST | None = None
    ) -> Value:
        """An object of a class that is read, made by its own ``__init__``."""
        if installed.is_enumeration(cls):
            return args[0] if args else Unknown("a member of an enumeration")
        made = Instance(cls)
        if self.makes_configs(cls):
            configs.initialize(self, made, args, kwargs)
            return made
        if self.makes_modules(cls):
            self.budget.module()
        found = cls.find("__init__")
        if isinstance(found, tuple):
            self.call_function(found[1], [made, *args], kwargs)
        elif self.fields(cls) and not self.makes_modules(cls):
            self._fill_fields(made, args, kwargs)
        elif found is not None:
            library.initialize(self, made, None, args, kwargs, node)
        return made

    def _fill_fields(self, made: Instance, args: list[Value], kwargs: dict[str, Value]) -> None:
        """As the ``__init__`` of a data class does."""
        assert isinstance(made.cls, Class)
        fields = self.fields(made.cls)
        made.attributes.update(fields)
        made.attributes.update(zip(fields, args, strict=False))
        made.attributes.update(kwargs)
        found = made.cls.find("__post_init__")
        if isinstance(found, tuple):
            self.call_function(found[1], [made], {})

    def fields(self, cls: Class) -> dict[str, Value]:
        """The fields of a data class and its bases, with their defaults."""
        found: dict[str, Value] = {}
        for base in reversed(list(cls.read)):
            for name, default in base.fields:
                found[name] = Unknown(f"{name} has no default") if default is None else base.namespace.get(name)
        return found

    # what can be gone through

    def elements(self, value: Value) -> list[Value] | None:
        """The elements of something that a loop goes through; ``None`` where they are not known."""
        if isinstance(value, range):
            self.budget.take(len(value))
            return list(value)
        if isinstance(value, plain.CONTAINERS):
            return list(value)
        if isinstance(value, str):
            self.budget.take(len(value))
            return list(value)
        if isinstance(value, torch.Tensor):
            try:
                return tensors.elements(value, self.budget)
            except NotPlainError:
                return None
        if isinstance(value, Instance):
            return library.elements(self, value)
        if isinstance(value, nn.ModuleList | nn.Sequential):
            return list(value.children())
        if isinstance(value, Class) and installed.is_enumeration(value):
            return [held for name, held in value.namespace.items() if plain.is_plain(held) and not name.startswith("_")]
        return None


def _is_data(cls: Class) -> bool:
    """Whether what is read of a class declares fields, and nothing that a layer has."""
    return any(base.fields for base in cls.read) and not cls.has("forward") and not cls.has("__init__")


def _found(receiver: Value, name: str, after: Class) -> tuple[Class, Value] | External | None:
    cls = receiver.cls if isinstance(receiver, Instance) else receiver
    return cls.find(name, after) if isinstance(cls, Class) else None
