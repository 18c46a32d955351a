"""What expressions come to."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from archlint.reading import library, plain, tensors
from archlint.reading.limits import MAX_NESTING, TooMuchError
from archlint.reading.objects import Frame, Objects
from archlint.reading.plain import NotPlainError
from archlint.reading.values import (
    Class,
    External,
    Function,
    Import,
    Instance,
    Scope,
    Super,
    Unknown,
    Value,
)

_NAMES = {"True": True, "False": False, "None": None, "__debug__": True, "NotImplemented": Unknown("NotImplemented")}


class Expressions(Objects):
    """One method for each kind of expression."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._depth = 0
        self._handlers: dict[type, Callable[[Any, Frame], Value]] = {}

    def evaluate(self, node: ast.expr, frame: Frame) -> Value:
        """The value of an expression; :class:`Unknown` for whatever is not understood."""
        self.budget.step()
        handler = self._handlers.get(type(node)) or self._handler(type(node))
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise TooMuchError("the repository's own code is nested more deeply than any model's")
        try:
            return handler(node, frame)
        except NotPlainError:
            return Unknown(f"what {_text(node)} comes to")
        finally:
            self._depth -= 1

    def _handler(self, kind: type) -> Callable[[Any, Frame], Value]:
        found: Callable[[Any, Frame], Value] = getattr(self, f"_eval_{kind.__name__.lower()}", self._other)
        return self._handlers.setdefault(kind, found)

    def _other(self, node: ast.expr, frame: Frame) -> Value:
        return Unknown(f"{type(node).__name__} is not read")

    def _eval_constant(self, node: ast.Constant, frame: Frame) -> Value:
        return node.value

    def _eval_name(self, node: ast.Name, frame: Frame) -> Value:
        return self.look_up(node.id, frame)

    def look_up(self, name: str, frame: Frame) -> Value:
        for scope in frame.scopes:
            if name in scope:
                value = scope[name]
                if isinstance(value, Import):
                    value = scope[name] = self.resolve(value)
                return value
        if name in frame.module.names:
            return self.name_of(frame.module, name)
        if name in _NAMES:
            return _NAMES[name]
        if hasattr(builtins, name):
            return External(f"builtins.{name}")
        return Unknown(f"{name} is not defined")

    def _eval_attribute(self, node: ast.Attribute, frame: Frame) -> Value:
        return self.attribute(self.evaluate(node.value, frame), node.attr, node)

    def _eval_namedexpr(self, node: ast.NamedExpr, frame: Frame) -> Value:
        value = self.evaluate(node.value, frame)
        self.bind_name(node.target.id, value, frame)
        return value

    def bind_name(self, name: str, value: Value, frame: Frame) -> None:
        if not frame.scopes or name in frame.globals:
            frame.module.names[name] = value
        else:
            frame.scopes[0][name] = value

    # numbers and truth

    def _eval_binop(self, node: ast.BinOp, frame: Frame) -> Value:
        return self.operate(node.op, self.evaluate(node.left, frame), self.evaluate(node.right, frame))

    def operate(self, kind: ast.operator, left: Value, right: Value) -> Value:
        for value in (left, right):
            if isinstance(value, Unknown):
                return Unknown(value.why)
        if isinstance(left, torch.Tensor) or isinstance(right, torch.Tensor):
            return tensors.binary(type(kind).__name__, left, right, self.budget)
        if isinstance(left, (External, Class)) or isinstance(right, (External, Class)):
            return Unknown("a type")  # int | None
        if isinstance(left, Instance) and isinstance(kind, ast.Add):
            return Unknown("a sum of lists of layers", True)
        if isinstance(left, range) or isinstance(right, range):
            raise NotPlainError
        return plain.binary(kind, left, right, self.budget)

    def _eval_unaryop(self, node: ast.UnaryOp, frame: Frame) -> Value:
        value = self.evaluate(node.operand, frame)
        if isinstance(node.op, ast.Not):
            found = self.truth(value)
            return Unknown(_why(value)) if found is None else not found
        if isinstance(value, Unknown):
            return value
        if isinstance(value, torch.Tensor):
            return tensors.binary("Mult", value, -1, self.budget)
        return plain.unary(node.op, value)

    def truth(self, value: Value) -> bool | None:
        """Whether a value counts as true; ``None`` where that cannot be told."""
        if isinstance(value, (Unknown, torch.Tensor)):
            if isinstance(value, torch.Tensor) and value.numel() == 1 and not value.is_meta:
                return bool(value.item())
            return None
        if isinstance(value, Instance) and self.is_module(value):
            found = self.elements(value)
            return True if found is None else bool(found)
        known = plain.truth(value)
        if known is None:
            return bool(len(value)) if isinstance(value, range) else True
        return known

    def _eval_boolop(self, node: ast.BoolOp, frame: Frame) -> Value:
        stops_at = isinstance(node.op, ast.Or)
        unknown: Value = None
        for operand in node.values:
            value = self.evaluate(operand, frame)
            found = self.truth(value)
            if found is None:
                unknown = value
            elif found is stops_at:
                return value if unknown is None or not stops_at else (value if stops_at else unknown)
        return value if unknown is None else Unknown(_why(unknown), getattr(unknown, "may_hold_modules", False))

    def _eval_compare(self, node: ast.Compare, frame: Frame) -> Value:
        left = self.evaluate(node.left, frame)
        for kind, operand in zip(node.ops, node.comparators, strict=True):
            right = self.evaluate(operand, frame)
            found = self._compared(kind, left, right)
            if found is not True:
                return found
            left = right
        return True

    def _compared(self, kind: ast.cmpop, left: Value, right: Value) -> Value:
        for value in (left, right):
            if isinstance(value, Unknown):
                return Unknown(value.why)
        if isinstance(kind, (ast.Is, ast.IsNot)):
            same = left is right or (isinstance(left, External) and left == right)
            same = same or (isinstance(left, (bool, int)) and type(left) is type(right) and left == right)
            return same if isinstance(kind, ast.Is) else not same
        if isinstance(kind, (ast.In, ast.NotIn)):
            found = self._contains(right, left)
            return found if isinstance(found, Unknown) or isinstance(kind, ast.In) else not found
        if isinstance(left, torch.Tensor) or isinstance(right, torch.Tensor):
            return tensors.binary(type(kind).__name__, left, right, self.budget)
        return plain.compare(kind, left, right)

    def _contains(self, holder: Value, value: Value) -> Value:
        if isinstance(holder, str):
            return value in holder if isinstance(value, str) else Unknown("what is in a text")
        if isinstance(holder, (dict, set, frozenset)):
            return plain.is_key(value) and value in holder
        if isinstance(holder, (list, tuple)):
            found = [self._compared(ast.Eq(), held, value) for held in holder[:10_000]]
            if True in (one for one in found if isinstance(one, bool)):
                return True
            return next((one for one in found if isinstance(one, Unknown)), False)
        if isinstance(holder, range):
            return isinstance(value, int) and value in holder
        if isinstance(holder, Instance) and self.is_module(holder) and isinstance(value, str):
            return value in holder.attributes
        if isinstance(holder, External):
            return library.contains(self, holder, value)
        return Unknown("what is in it")

    def _eval_ifexp(self, node: ast.IfExp, frame: Frame) -> Value:
        condition = self.evaluate(node.test, frame)
        found = self.truth(condition)
        if found is not None:
            return self.evaluate(node.body if found else node.orelse, frame)
        return self.either(self.evaluate(node.orelse, frame), self.evaluate(node.body, frame), node, _why(condition))

    def either(self, one: Value, other: Value, node: ast.AST, why: str) -> Value:
        """What stands for two values of which it is not known which it is: the one with more layers."""
        if one is other or (plain.is_plain(one) and plain.is_plain(other) and one == other):
            return one
        modules = [value for value in (one, other) if self.is_module(value) or isinstance(value, Class)]
        if not modules:
            return Unknown(why, any(getattr(value, "may_hold_modules", False) for value in (one, other)))
        chosen = max(modules, key=_weight)
        if any(map(_weight, modules)) or any(isinstance(value, Class) for value in modules):
            self.gap(node, f"it depends on what is not known: {why}")
        return chosen

    # texts and containers

    def _eval_joinedstr(self, node: ast.JoinedStr, frame: Frame) -> Value:
        parts = [self.evaluate(part, frame) for part in node.values]
        if not all(isinstance(part, str) for part in parts):
            return next((part for part in parts if isinstance(part, Unknown)), Unknown("a text"))
        self.budget.take(sum(map(len, parts)))
        return "".join(parts)

    def _eval_formattedvalue(self, node: ast.FormattedValue, frame: Frame) -> Value:
        value = self.evaluate(node.value, frame)
        spec = self.evaluate(node.format_spec, frame) if node.format_spec else ""
        if isinstance(value, Unknown) or not isinstance(spec, str):
            return Unknown(_why(value))
        return plain.shown(value, spec)

    def _eval_list(self, node: ast.List, frame: Frame) -> Value:
        return self._spread(node.elts, frame)

    def _eval_tuple(self, node: ast.Tuple, frame: Frame) -> Value:
        found = self._spread(node.elts, frame)
        return tuple(found) if isinstance(found, list) else found

    def _eval_set(self, node: ast.Set, frame: Frame) -> Value:
        found = self._spread(node.elts, frame)
        return {value for value in found if plain.is_key(value)} if isinstance(found, list) else found

    def _spread(self, nodes: list[ast.expr], frame: Frame) -> list[Value] | Unknown:
        self.budget.take(len(nodes))
        values = []
        for node in nodes:
            if isinstance(node, ast.Starred):
                inner = self.elements(self.evaluate(node.value, frame))
                if inner is None:
                    return Unknown("a list that is not known", True)
                self.budget.take(len(inner))
                values += inner
            else:
                values.append(self.evaluate(node, frame))
        return values

    def _eval_dict(self, node: ast.Dict, frame: Frame) -> Value:
        self.budget.take(len(node.keys))
        made: dict[Value, Value] = {}
        for key, item in zip(node.keys, node.values, strict=True):
            value = self.evaluate(item, frame)
            if key is None:
                if isinstance(value, dict):
                    self.budget.take(len(value))
                    made.update(value)
                continue
            name = self.evaluate(key, frame)
            if plain.is_key(name):
                made[name] = value
        return made

    def _eval_slice(self, node: ast.Slice, frame: Frame) -> Value:
        parts = [self.evaluate(part, frame) if part else None for part in (node.lower, node.upper, node.step)]
        return next((part for part in parts if isinstance(part, Unknown)), slice(*parts))

    def _eval_subscript(self, node: ast.Subscript, frame: Frame) -> Value:
        value = self.evaluate(node.value, frame)
        if isinstance(value, (Unknown, Class)) or (isinstance(value, External) and not library.is_table(value)):
            return value  # a type with arguments is the type
        index = self.evaluate(node.slice, frame)
        if isinstance(index, Unknown):
            return self._any_element(value, index, node)
        return self.element(value, index, node)

    def element(self, value: Value, index: Value, node: ast.AST) -> Value:
        if isinstance(value, External):
            return library.table_entry(self, value, index)
        if isinstance(value, torch.Tensor):
            return tensors.element(value, index, self.budget)
        if isinstance(value, range):
            value = list(value)
        try:
            if isinstance(value, Instance):
                return library.item(self, value, index)
            if isinstance(value, (nn.ModuleList, nn.Sequential)):
                return list(value.children())[index]
            return plain.subscript(value, index)
        except LookupError as error:
            if isinstance(value, dict) and self.is_module_table(value):
                return self._any_element(value, Unknown(f"there is no {index!r}"[:80]), node)
            return self.raise_(node, type(error).__name__)

    def is_module_table(self, value: dict[Value, Value]) -> bool:
        return any(isinstance(held, (Class, Function)) or self.is_module(held) for held in value.values())

    def _any_element(self, value: Value, index: Unknown, node: ast.AST) -> Value:
        """One of a table's classes, where it is not known which: the plainest, which comes first."""
        if isinstance(value, dict) and self.is_module_table(value):
            self.gap(node, f"one of {len(value)} classes, and it is not known which: {index.why}")
            return next(iter(value.values()))
        return Unknown(index.why, isinstance(value, Instance) and self.is_module(value))

    def _eval_starred(self, node: ast.Starred, frame: Frame) -> Value:
        return self.evaluate(node.value, frame)

    def _eval_listcomp(self, node: ast.ListComp, frame: Frame) -> Value:
        return self._comprehended(node, node.elt, frame)

    def _eval_generatorexp(self, node: ast.GeneratorExp, frame: Frame) -> Value:
        return self._comprehended(node, node.elt, frame)

    def _eval_setcomp(self, node: ast.SetComp, frame: Frame) -> Value:
        found = self._comprehended(node, node.elt, frame)
        return {value for value in found if plain.is_key(value)} if isinstance(found, list) else found

    def _eval_dictcomp(self, node: ast.DictComp, frame: Frame) -> Value:
        made: dict[Value, Value] = {}
        for inner, unknown in self._runs(node.generators, frame):
            self.budget.take(1)
            key = self.evaluate(node.key, inner)
            value = self.evaluate(node.value, inner)
            if unknown is not None:
                return self._unknown_list(node, value, unknown)
            if plain.is_key(key):
                made[key] = value
        return made

    def _comprehended(
        self, node: ast.ListComp | ast.GeneratorExp | ast.SetComp, element: ast.expr, frame: Frame
    ) -> Value:
        values = []
        for inner, unknown in self._runs(node.generators, frame):
            self.budget.take(1)
            value = self.evaluate(element, inner)
            if unknown is not None:
                return self._unknown_list(node, value, unknown)
            values.append(value)
        return values

    def _unknown_list(self, node: ast.expr, element: Value, why: str) -> Unknown:
        """What stands for elements that are like ``element``, and of which it is not known how many there are."""
        holds = self.is_module(element) or (isinstance(element, Unknown) and element.may_hold_modules)
        if holds:
            self.gap(node, f"a loop over what is not known: {why}")
        return Unknown(why, holds)

    def _runs(self, generators: list[ast.comprehension], frame: Frame) -> Iterator[tuple[Frame, str | None]]:
        """The frames in which an element is computed, and where their number is not known, why."""
        scope: Scope = {}
        inner = Frame(frame.module, (scope, *frame.scopes), frame.function, frame.receiver)
        yield from self._nested(generators, inner)

    def _nested(self, generators: list[ast.comprehension], frame: Frame) -> Iterator[tuple[Frame, str | None]]:
        if not generators:
            yield frame, None
            return
        first, *rest = generators
        source = self.evaluate(first.iter, frame)
        values = self.elements(source)
        if values is None:
            holds = isinstance(source, Unknown) and source.may_hold_modules
            self.assign(first.target, Unknown(_why(source), holds), frame)
            for inner, unknown in self._nested(rest, frame):
                yield inner, unknown or _why(source)
            return
        for value in values:
            self.budget.step()
            self.assign(first.target, value, frame)
            tests = [self.truth(self.evaluate(test, frame)) for test in first.ifs]
            if False in tests:
                continue
            yield from self._nested(rest, frame)

    def assign(self, target: ast.expr, value: Value, frame: Frame) -> None:
        raise NotImplementedError

    # functions and calls

    def _eval_lambda(self, node: ast.Lambda, frame: Frame) -> Value:
        return self.function(node, frame)

    def function(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, frame: Frame, owner: Class | None = None
    ) -> Function:
        defaults = tuple(self.evaluate(default, frame) for default in node.args.defaults)
        named = {
            argument.arg: self.evaluate(default, frame)
            for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
            if default is not None
        }
        scopes = frame.scopes[1:] if owner is not None else frame.scopes
        return Function(node, frame.module, scopes, defaults, named, owner)

    def _eval_yield(self, node: ast.Yield, frame: Frame) -> Value:
        value = self.evaluate(node.value, frame) if node.value else None
        if frame.yielded is not None:
            self.budget.take(1)
            frame.yielded.append(value)
        return None

    def _eval_yieldfrom(self, node: ast.YieldFrom, frame: Frame) -> Value:
        values = self.elements(self.evaluate(node.value, frame))
        if frame.yielded is not None and values is not None:
            self.budget.take(len(values))
            frame.yielded += values
        return None

    def _eval_call(self, node: ast.Call, frame: Frame) -> Value:
        if isinstance(node.func, ast.Name) and node.func.id == "super":
            return self._super(node, frame)
        callee = self.evaluate(node.func, frame)
        args = self._spread(node.args, frame)
        if isinstance(args, Unknown):
            args = []
            for argument in node.args:
                if isinstance(argument, ast.Starred):
                    if isinstance(callee, External):
                        args.append(Unknown("a list that is not known", True))
                    break
                args.append(self.evaluate(argument, frame))
        kwargs: dict[str, Value] = {}
        for keyword in node.keywords:
            value = self.evaluate(keyword.value, frame)
            if keyword.arg is not None:
                kwargs[keyword.arg] = value
            elif isinstance(value, dict):
                kwargs.update({name: held for name, held in value.items() if isinstance(name, str)})
        return self.call(callee, args, kwargs, node)

    def _super(self, node: ast.Call, frame: Frame) -> Value:
        if node.args:
            cls = self.evaluate(node.args[0], frame)
            receiver = self.evaluate(node.args[1], frame) if len(node.args) > 1 else frame.receiver
            return Super(receiver, cls) if isinstance(cls, Class) else Unknown("super() of what is not read")
        around = next((f for f in reversed(self.frames) if f.function is not None and f.function.owner), frame)
        owner = around.function.owner if around.function else None
        return Super(around.receiver, owner) if owner is not None else Unknown("super() outside of a class")


def _why(value: Value) -> str:
    return value.why if isinstance(value, Unknown) else "a tensor's numbers"


def _weight(value: Value) -> int:
    """How much of a model a layer is: the number of its parameters."""
    count, seen, waiting = 0, set[int](), [value]
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, nn.Module):
            count += sum(1 for _ in part.parameters())
        elif isinstance(part, (nn.Parameter, Class)):
            count += 1
        elif isinstance(part, Instance):
            waiting += part.attributes.values()
    return count


def _text(node: ast.expr) -> str:
    """A short expression as it may be written."""
    width = (node.end_col_offset or 0) - node.col_offset
    return ast.unparse(node) if node.lineno == node.end_lineno and width <= 60 else "an expression"
