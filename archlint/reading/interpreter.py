"""What statements do."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from archlint.reading import configs, library, plain, tensors
from archlint.reading.expressions import Expressions
from archlint.reading.limits import MAX_NESTING, TooMuchError
from archlint.reading.objects import Frame, RaisedError
from archlint.reading.values import (
    Class,
    External,
    Function,
    Import,
    Instance,
    Module,
    Scope,
    Unknown,
    Value,
    linearized,
)

_ENDS = (ast.Return, ast.Raise, ast.Continue, ast.Break)
_IMPORT_ERRORS = {"ImportError", "ModuleNotFoundError"}


class _Return(Exception):
    def __init__(self, value: Value) -> None:
        super().__init__()
        self.value = value


class _Ended(Exception):
    """The function raises, and nothing catches it."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


class Interpreter(Expressions):
    """Goes through modules, classes and functions; one method for each kind of statement."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._statements: dict[type, Callable[[Any, Frame], None]] = {}
        self._level = 0
        self._choosing = False
        """Whether one of two branches is under way, and it is not known which of them is gone."""

    def fill(self, module: Module) -> None:
        tree = self.sources.tree(module.file)
        module.names |= {"__name__": module.name, "__file__": module.file.name}
        trying, self.trying = self.trying, 0
        choosing, self._choosing = self._choosing, False
        frame = Frame(module, ())
        self.frames.append(frame)
        try:
            self._block(tree.body, frame)
        except (_Return, _Break, _Continue):
            pass
        finally:
            self.frames.pop()
            self.trying, self._choosing = trying, choosing

    def run(self, function: Function, scope: Scope, receiver: Value) -> Value:
        node = function.node
        frame = Frame(function.module, (scope, *function.scopes), function, receiver)
        self.frames.append(frame)
        depth, self._depth, level, self._level = self._depth, 0, self._level, 0
        choosing, self._choosing = self._choosing, False
        try:
            if isinstance(node, ast.Lambda):
                return self.evaluate(node.body, frame)
            if function.is_generator is None:
                function.is_generator = _yields(node)
            if function.is_generator:
                frame.yielded = []
            result: Value = None
            try:
                self._block(node.body, frame)
            except _Return as returned:
                result = returned.value
            except _Ended as ended:
                result = Unknown(f"{function.name} raises {ended.name}", True)
            except (_Break, _Continue):
                pass
            if frame.yielded is not None:
                return frame.yielded
            for other in frame.pending:
                result = other if result is None else self.either(result, other, node, "what is returned")
            return result
        finally:
            self.frames.pop()
            self._depth, self._level, self._choosing = depth, level, choosing

    def _block(self, statements: list[ast.stmt], frame: Frame) -> None:
        for statement in statements:
            self.execute(statement, frame)

    def execute(self, node: ast.stmt, frame: Frame) -> None:
        self.budget.step()
        handler = self._statements.get(type(node)) or self._doer(type(node))
        self._level += 1
        if self._level > MAX_NESTING:
            raise TooMuchError("the repository's own code is nested more deeply than any model's")
        self.at = node
        try:
            handler(node, frame)
        finally:
            self._level -= 1

    def _doer(self, kind: type) -> Callable[[Any, Frame], None]:
        found: Callable[[Any, Frame], None] = getattr(self, f"_do_{kind.__name__.lower()}", self._unread)
        return self._statements.setdefault(kind, found)

    def _unread(self, node: ast.stmt, frame: Frame) -> None:
        if any(isinstance(inner, (ast.Assign, ast.Call)) for inner in ast.walk(node)):
            self.gap(node, f"{type(node).__name__.lower()} statements are not read")

    def _do_pass(self, node: ast.Pass, frame: Frame) -> None:
        pass

    _do_assert = _do_pass

    def _do_expr(self, node: ast.Expr, frame: Frame) -> None:
        if not isinstance(node.value, ast.Constant):
            self.evaluate(node.value, frame)

    # names

    def _do_assign(self, node: ast.Assign, frame: Frame) -> None:
        value = self.evaluate(node.value, frame)
        for target in node.targets:
            self.assign(target, value, frame)

    def _do_annassign(self, node: ast.AnnAssign, frame: Frame) -> None:
        if node.value is not None:
            self.assign(node.target, self.evaluate(node.value, frame), frame)

    def _do_augassign(self, node: ast.AugAssign, frame: Frame) -> None:
        load = ast.copy_location(_as_load(node.target), node.target)
        left, right = self.evaluate(load, frame), self.evaluate(node.value, frame)
        if isinstance(node.op, ast.Add) and isinstance(left, list):
            more = self.elements(right)
            if more is not None:
                self.budget.take(len(more))
                left += more
                return
        if isinstance(node.op, ast.Add) and isinstance(left, Instance) and self.is_module(left):
            self.call(self.attribute(left, "extend"), [right], {}, node)
            return
        try:
            value = self.operate(node.op, left, right)
        except plain.NotPlainError:
            value = Unknown("a number that is not known")
        self.assign(node.target, value, frame)

    def assign(self, target: ast.expr, value: Value, frame: Frame) -> None:
        if isinstance(target, ast.Name):
            self.bind_name(target.id, value, frame)
        elif isinstance(target, ast.Attribute):
            self.set_attribute(self.evaluate(target.value, frame), target.attr, value, target)
        elif isinstance(target, ast.Starred):
            self.assign(target.value, value, frame)
        elif isinstance(target, (ast.Tuple, ast.List)):
            self._unpack(target.elts, value, frame)
        elif isinstance(target, ast.Subscript):
            self._set_item(target, value, frame)

    def _unpack(self, targets: list[ast.expr], value: Value, frame: Frame) -> None:
        values = self.elements(value)
        star = next((place for place, target in enumerate(targets) if isinstance(target, ast.Starred)), None)
        if values is None or (star is None and len(values) != len(targets)) or len(values) < len(targets) - 1:
            why = value if isinstance(value, Unknown) else Unknown("what is taken apart")
            values = [why] * len(targets)
        elif star is not None:
            after = len(targets) - star - 1
            middle = values[star : len(values) - after]
            values = [*values[:star], middle, *values[len(values) - after :]]
        for target, part in zip(targets, values, strict=True):
            self.assign(target, part, frame)

    def _set_item(self, target: ast.Subscript, value: Value, frame: Frame) -> None:
        holder = self.evaluate(target.value, frame)
        index = self.evaluate(target.slice, frame)
        if isinstance(holder, dict) and plain.is_key(index):
            self.budget.take(1)
            holder[index] = value
        elif isinstance(holder, list) and isinstance(index, int) and -len(holder) <= index < len(holder):
            holder[index] = value
        elif isinstance(holder, Instance):
            library.set_item(self, holder, index, value)
        elif isinstance(holder, torch.Tensor) and not isinstance(holder, nn.Parameter):
            with contextlib.suppress(plain.NotPlainError):
                tensors.set_element(holder, index, value)

    def _do_delete(self, node: ast.Delete, frame: Frame) -> None:
        for target in node.targets:
            if isinstance(target, ast.Attribute):
                holder = self.evaluate(target.value, frame)
                if isinstance(holder, Instance):
                    holder.attributes.pop(target.attr, None)
            elif isinstance(target, ast.Subscript):
                held, index = self.evaluate(target.value, frame), self.evaluate(target.slice, frame)
                if isinstance(held, dict) and plain.is_key(index):
                    held.pop(index, None)
                elif isinstance(held, list) and isinstance(index, int) and -len(held) <= index < len(held):
                    del held[index]

    def _do_global(self, node: ast.Global, frame: Frame) -> None:
        frame.globals |= set(node.names)

    def _do_nonlocal(self, node: ast.Nonlocal, frame: Frame) -> None:
        for name in node.names:
            for scope in frame.scopes[1:]:
                if name in scope:
                    frame.scopes[0][name] = scope[name]

    # imports

    def _do_import(self, node: ast.Import, frame: Frame) -> None:
        for alias in node.names:
            self._check_import(alias.name, None)
            top = alias.name.partition(".")[0]
            if alias.asname:
                self.bind_name(alias.asname, Import(alias.name, None), frame)
            else:
                self.bind_name(top, Import(top, None), frame)

    def _do_importfrom(self, node: ast.ImportFrom, frame: Frame) -> None:
        base = self.absolute(frame.module, node.level, node.module)
        for alias in node.names:
            if base is None:
                self.gap(node, "it imports from outside of the repository")
                self.bind_name(alias.asname or alias.name, Unknown("it lies outside of the repository", True), frame)
            elif alias.name == "*":
                self._import_all(base, frame)
            else:
                self._check_import(base, alias.name)
                self.bind_name(alias.asname or alias.name, Import(base, alias.name), frame)

    def _check_import(self, module: str, name: str | None) -> None:
        """Fail as an import of what is not there would, where the code says what to do then."""
        if self.trying and not library.is_importable(self, module, name):
            raise RaisedError("ImportError")

    def _import_all(self, base: str, frame: Frame) -> None:
        module = self.module(base)
        if module is None:
            return
        listed = self.elements(module.names.get("__all__", [n for n in module.names if not n.startswith("_")]))
        for name in listed or ():
            if isinstance(name, str) and name in module.names:
                self.bind_name(name, Import(base, name), frame)

    # classes and functions

    def _do_functiondef(self, node: ast.FunctionDef, frame: Frame) -> None:
        self._define(node, frame, None)

    _do_asyncfunctiondef = _do_functiondef

    def _define(self, node: ast.FunctionDef, frame: Frame, owner: Class | None) -> None:
        made: Value = self.function(node, frame, owner)
        name = node.name
        for decorator in reversed(node.decorator_list):
            made, name = self._decorated(made, decorator, frame, name)
        self.bind_name(name, made, frame)

    def _decorated(self, made: Value, decorator: ast.expr, frame: Frame, name: str) -> tuple[Value, str]:
        """What a decorator makes of a function or a class; those of libraries make nothing else of it."""
        if isinstance(decorator, ast.Attribute) and decorator.attr in ("setter", "deleter"):
            return made, f"{name}.{decorator.attr}"
        root = decorator.func if isinstance(decorator, ast.Call) else decorator
        found = self.evaluate(root, frame)
        if isinstance(found, External):
            if isinstance(made, Function):
                if found.name in ("property", "cached_property", "classproperty", "abstractproperty"):
                    made.kind = "property"
                elif found.name in ("staticmethod", "classmethod"):
                    made.kind = found.name
            return made, name
        if isinstance(found, Unknown):
            return made, name
        if isinstance(decorator, ast.Call):
            found = self.evaluate(decorator, frame)
        result = self.call(found, [made], {}, decorator)
        return (made if isinstance(result, Unknown) or result is None else result), name

    def _do_classdef(self, node: ast.ClassDef, frame: Frame) -> None:
        bases = [self.evaluate(base, frame) for base in node.bases if not isinstance(base, ast.Starred)]
        kept = []
        for base, written in zip(bases, node.bases, strict=False):
            if isinstance(base, (Class, External)):
                if base != External("builtins.object"):
                    kept.append(base)
            elif isinstance(base, Unknown):
                self.gap(written, f"a base of {node.name} is not known: {base.why}")
                kept.append(External("unknown.Base"))
        scope: Scope = {}
        made = Class(node.name, frame.module, node, tuple(dict.fromkeys(kept)), scope)
        made.mro = linearized(made)
        if len(made.mro) > MAX_NESTING:
            raise TooMuchError("the repository's own classes have more bases than any model's")
        inner = Frame(frame.module, (scope, *frame.scopes), None, None)
        fields = []
        for statement in node.body:
            if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
                self._define(statement, inner, made)  # type: ignore[arg-type]
                continue
            self.execute(statement, inner)
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                name, default = statement.target.id, configs.default_of(statement.value)
                fields.append((name, statement.value))
                if isinstance(scope.get(name), Unknown) and default is not None:
                    scope[name] = self.evaluate(default, inner)
        made.fields = tuple(fields)
        result: Value = made
        for decorator in reversed(node.decorator_list):
            result, _ = self._decorated(result, decorator, frame, node.name)
        self.bind_name(node.name, result, frame)

    # control

    def _do_return(self, node: ast.Return, frame: Frame) -> None:
        raise _Return(self.evaluate(node.value, frame) if node.value else None)

    def _do_break(self, node: ast.Break, frame: Frame) -> None:
        raise _Break

    def _do_continue(self, node: ast.Continue, frame: Frame) -> None:
        raise _Continue

    def _do_raise(self, node: ast.Raise, frame: Frame) -> None:
        error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        name = getattr(error, "id", getattr(error, "attr", "Exception"))
        if self.trying:
            raise RaisedError(name)
        if self._choosing:
            raise _Ended(name)
        if frame.function is None:
            return
        if name != "NotImplementedError":
            self.gap(node, f"{frame.function.name} raises {name}, as it is read")
        if frame.function.name != "__init__":  # a constructor most often asks for a package: its layers are read on
            raise _Ended(name)

    def _do_if(self, node: ast.If, frame: Frame) -> None:
        condition = self.evaluate(node.test, frame)
        found = self.truth(condition)
        if found is not None:
            self._block(node.body if found else node.orelse, frame)
            return
        why = condition.why if isinstance(condition, Unknown) else "a tensor's numbers"
        if _gives_up(node.body):
            self._block(node.orelse, frame)
        elif node.orelse and _gives_up(node.orelse):
            self._block(node.body, frame)
        else:
            self._both(node, frame, why)

    def _do_match(self, node: ast.Match, frame: Frame) -> None:
        subject = self.evaluate(node.subject, frame)
        for case in node.cases:
            found = self._matches(case.pattern, subject, frame)
            if found and case.guard is not None:
                found = self.truth(self.evaluate(case.guard, frame))
            if found is None:
                self._unread(node, frame)
                return
            if found:
                self._block(case.body, frame)
                return

    def _matches(self, pattern: ast.pattern, subject: Value, frame: Frame) -> bool | None:
        """Whether a pattern fits; ``None`` where that cannot be told."""
        if isinstance(pattern, ast.MatchAs):
            found = self._matches(pattern.pattern, subject, frame) if pattern.pattern is not None else True
            if found and pattern.name is not None:
                self.bind_name(pattern.name, subject, frame)
            return found
        if isinstance(pattern, ast.MatchOr):
            answers = [self._matches(part, subject, frame) for part in pattern.patterns]
            return True if True in answers else (None if None in answers else False)
        if isinstance(subject, Unknown):
            return None
        if isinstance(pattern, ast.MatchValue):
            return self.truth(self._compared(ast.Eq(), subject, self.evaluate(pattern.value, frame)))
        return subject is pattern.value if isinstance(pattern, ast.MatchSingleton) else None

    def _both(self, node: ast.If, frame: Frame, why: str) -> None:
        """Go both ways where it is not known which: whatever one of them adds is there, and that is told."""
        effects = self.effects
        scope = frame.scopes[0] if frame.scopes else frame.module.names
        before = dict(scope)
        ends: list[dict[str, Value]] = []
        choosing, self._choosing = self._choosing, True
        for block in (node.orelse, node.body):
            scope.clear()
            scope.update(before)
            try:
                self._block(block, frame)
            except _Return as returned:
                frame.pending.append(returned.value)
            except (_Break, _Continue, _Ended, RaisedError):
                pass
            else:
                ends.append(dict(scope))
        self._choosing = choosing
        if ends:
            scope.clear()
            scope.update(ends[0])
            for name, value in ends[1].items() if len(ends) > 1 else ():
                scope[name] = self.either(scope[name], value, node, why) if name in scope else value
        if self.effects != effects:
            self.gap(node, f"it depends on what is not known: {why}")

    def _do_for(self, node: ast.For, frame: Frame) -> None:
        source = self.evaluate(node.iter, frame)
        values = self.elements(source)
        if values is None:
            effects = self.effects
            why = source.why if isinstance(source, Unknown) else "what it goes through"
            self.assign(node.target, Unknown(why, getattr(source, "may_hold_modules", False)), frame)
            self._once(node.body, frame)
            if self.effects != effects:
                self.gap(node, f"a loop over what is not known: {why}")
            return
        for value in values:
            self.budget.step()
            self.assign(node.target, value, frame)
            try:
                self._block(node.body, frame)
            except _Break:
                return
            except _Continue:
                continue
        self._block(node.orelse, frame)

    def _once(self, body: list[ast.stmt], frame: Frame) -> None:
        try:
            self._block(body, frame)
        except (_Break, _Continue):
            pass
        except _Return as returned:
            frame.pending.append(returned.value)

    def _do_while(self, node: ast.While, frame: Frame) -> None:
        while True:
            self.budget.step()
            condition = self.evaluate(node.test, frame)
            found = self.truth(condition)
            if found is None:
                effects = self.effects
                self._once(node.body, frame)
                if self.effects != effects:
                    self.gap(node, "a loop of which it is not known how often it is gone through")
                return
            if not found:
                self._block(node.orelse, frame)
                return
            try:
                self._block(node.body, frame)
            except _Break:
                return
            except _Continue:
                continue

    def _do_with(self, node: ast.With, frame: Frame) -> None:
        for item in node.items:
            value = self.evaluate(item.context_expr, frame)
            if item.optional_vars is not None:
                self.assign(
                    item.optional_vars, Unknown("what a with statement gives") if value is None else value, frame
                )
        self._block(node.body, frame)

    def _do_try(self, node: ast.Try, frame: Frame) -> None:
        if not node.handlers:
            try:
                self._block(node.body, frame)
            finally:
                self._block(node.finalbody, frame)
            return
        frames = len(self.frames)
        self.trying += 1
        try:
            self._block(node.body, frame)
        except RaisedError as raised:
            self.trying -= 1
            del self.frames[frames:]
            handler = next((h for h in node.handlers if _catches(h, raised.name)), None)
            if handler is None:
                if self.trying:
                    raise
                return
            if handler.name:
                self.bind_name(handler.name, Unknown("an error"), frame)
            self._block(handler.body, frame)
        except BaseException:
            self.trying -= 1
            raise
        else:
            self.trying -= 1
            self._block(node.orelse, frame)
        self._block(node.finalbody, frame)


def _catches(handler: ast.ExceptHandler, name: str) -> bool:
    if handler.type is None:
        return True
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    caught = {getattr(kind, "id", getattr(kind, "attr", "")) for kind in kinds}
    if name in _IMPORT_ERRORS and caught & _IMPORT_ERRORS:
        return True
    if name in ("KeyError", "IndexError") and "LookupError" in caught:
        return True
    return bool(caught & {name, "Exception", "BaseException"})


def _gives_up(block: list[ast.stmt]) -> bool:
    return any(isinstance(statement, ast.Raise) for statement in block)


def _yields(node: ast.AST) -> bool:
    """Whether a function is a generator; functions inside of it do not count."""
    waiting: list[ast.AST] = list(ast.iter_child_nodes(node))
    while waiting:
        part = waiting.pop()
        if isinstance(part, (ast.Yield, ast.YieldFrom)):
            return True
        if not isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            waiting += ast.iter_child_nodes(part)
    return False


def _as_load(target: ast.expr) -> ast.expr:
    if isinstance(target, ast.Name):
        return ast.Name(target.id, ast.Load())
    if isinstance(target, ast.Attribute):
        return ast.Attribute(target.value, target.attr, ast.Load())
    assert isinstance(target, ast.Subscript)
    return ast.Subscript(target.value, target.slice, ast.Load())
