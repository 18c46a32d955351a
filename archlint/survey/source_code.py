"""What a class's source code shows: where it stands, what it calls, which outputs its forward takes apart.

Only the text of the class is read, with :mod:`ast`; nothing is executed. A class without source (made at
run time, or in a shell) gives empty facts.
"""

from __future__ import annotations

import ast
import builtins
import functools
import linecache
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from archlint.skeleton.copies import original
from archlint.syntax import parsed

WRITTEN = "__archlint_source__"
"""An attribute of a class that has no module: the file and the line of its statement."""
_SPLITS = frozenset({"chunk", "split", "tensor_split", "unbind"})


@dataclass(frozen=True, slots=True)
class Handed:
    """Where a weight is an argument of a call, and the name of what is called."""

    file: str
    line: int
    to: str


@dataclass(frozen=True)
class ClassCode:
    """Facts of one class, its bases not included. Its text is parsed when it is first asked for one that needs it."""

    file: str | None = None
    line: int | None = None
    text: str = field(default="", repr=False)
    """The class statement, without the indentation of its first line."""

    @cached_property
    def calls(self) -> frozenset[str]:
        """Last names of everything that its methods call: ``torch.rsqrt(x)`` and ``x.rsqrt()`` give ``rsqrt``."""
        return frozenset(name for method in self._methods for name in _called_names(method))

    @cached_property
    def forward_calls(self) -> frozenset[str]:
        """The same of ``forward`` alone."""
        return frozenset(name for method in self._forwards for name in _called_names(method))

    @cached_property
    def split_children(self) -> frozenset[str]:
        """Names of children whose output a method splits into several tensors."""
        names = frozenset(method.name for method in self._methods)
        return frozenset(name for method in self._methods for name in _split_children(method, names))

    @cached_property
    def matrices(self) -> frozenset[str]:
        """Names of own attributes that a method multiplies with as a matrix."""
        return frozenset() if self._tree is None else frozenset(_matrices(self._tree))

    @cached_property
    def weights_read(self) -> frozenset[str]:
        """Names of children whose ``weight`` a method other than ``__init__`` computes with: ``self.name.weight``."""
        if not self._has_weight_of_child:
            return frozenset()
        return frozenset(name for method in self._methods for name in _weights_read(method))

    @cached_property
    def children_used(self) -> frozenset[str]:
        """Names of own attributes that are called, or handed on whole: ``self.name(x)``, ``run(self.name)``."""
        return frozenset(name for method in self._methods for name in _children_used(method))

    @cached_property
    def weights_handed(self) -> Mapping[str, Handed]:
        """Names of children whose ``weight`` a method hands to a function: ``run(x, self.name.weight)``."""
        if self.file is None or self.line is None or not self._has_weight_of_child:
            return {}
        return dict(_weights_handed(self._methods, self.file, self.line))

    @cached_property
    def returns_tuple(self) -> bool:
        """``forward`` is defined here and each of its returns gives a tuple of two or more."""
        return any(map(_returns_tuple, self._forwards))

    @cached_property
    def _tree(self) -> ast.Module | None:
        return parsed(self.text)

    @cached_property
    def _methods(self) -> list[ast.FunctionDef]:
        nodes = () if self._tree is None else _nodes(self._tree)
        return [node for node in nodes if isinstance(node, ast.FunctionDef)]

    @property
    def _forwards(self) -> list[ast.FunctionDef]:
        return [method for method in self._methods if method.name == "forward"]

    @cached_property
    def _has_weight_of_child(self) -> bool:
        """Whether ``self.name.weight`` may be in the text: most classes, and the longest, are without it."""
        return _WEIGHT_OF_CHILD.search(self.text) is not None


_GAP = r"(?:[\s)\\]|\#.*\n)*"
"""What may stand between the parts of ``self.name.weight``: spaces, ends of lines, comments, closing brackets."""
_WEIGHT_OF_CHILD = re.compile(rf"\bself{_GAP}\.{_GAP}\w+{_GAP}\.{_GAP}weight\b")


def class_code(cls: type) -> ClassCode:
    """The facts of ``cls``."""
    return _read(cls)


@functools.cache
def _read(cls: type) -> ClassCode:
    found = _source_of(cls)
    return ClassCode() if found is None else ClassCode(*found)


def inherited_calls(cls: type) -> frozenset[str]:
    """What ``cls`` and its bases outside torch call."""
    return frozenset().union(*(code.calls for code in _inherited(cls)))


def bypassed_children(cls: type) -> frozenset[str]:
    """Names of children whose weight the methods of ``cls`` and its bases compute with, and that none of them uses.

    What is called on one path and read on another is used.
    """
    codes = list(_inherited(cls))
    read = frozenset().union(*(code.weights_read for code in codes))
    return read.difference(*(code.children_used for code in codes)) if read else read


@functools.cache
def handed_weights(cls: type) -> Mapping[str, Handed]:
    """Children whose weight the methods of ``cls`` and its bases hand to a function when the model is run."""
    found: dict[str, Handed] = {}
    for code in _inherited(cls):
        found = {**code.weights_handed, **found}
    return found


def _inherited(cls: type) -> Iterator[ClassCode]:
    owners = (base for base in cls.__mro__ if base.__module__.partition(".")[0] not in ("torch", "builtins"))
    return map(class_code, owners)


def _source_of(cls: type) -> tuple[str, int, str] | None:
    """File, line and text of a class statement.

    A regular expression finds the statement: :func:`inspect.getsource` parses the whole module for each class.
    """
    written = cls.__dict__.get(WRITTEN)  # of a class that stands in for one that was read, and has no module
    if written is not None:
        return _statement(*written)
    module = sys.modules.get(cls.__module__)
    file = getattr(module, "__file__", None)
    if file is None:
        return None
    starts = _class_lines(file)
    line = starts.get(cls.__qualname__.rpartition(".")[2])
    return None if line is None else _statement(file, line)


def _statement(file: str, line: int) -> tuple[str, int, str] | None:
    lines = linecache.getlines(file)
    if not 0 < line <= len(lines):
        return None
    indent = len(lines[line - 1]) - len(lines[line - 1].lstrip())
    body = [lines[line - 1][indent:]]
    for text in lines[line:]:
        if text.strip() and not text.startswith((" " * (indent + 1), "\t", "#")) and not text.lstrip().startswith(")"):
            break
        body.append(text[indent:] if text.strip() else "\n")
    return file, line, "".join(body)


@functools.cache
def _class_lines(file: str) -> dict[str, int]:
    statement = re.compile(r"\s*class\s+(\w+)\s*[(:\[]")
    lines = enumerate(linecache.getlines(file), 1)
    return {match[1]: number for number, text in lines if "class" in text and (match := statement.match(text))}


def shown_path(file: str) -> str:
    """``file`` as its package would name it (``transformers/models/…``), or in full outside any package.

    Of a repository's own code it is the file in the repository.
    """
    file = original(file)
    for root in sorted(map(str, sys.path), key=len, reverse=True):
        if root and (path := Path(file)).is_relative_to(root) and "site-packages" in root:
            return str(path.relative_to(root))
    return file


@functools.lru_cache(maxsize=256)
def _nodes(tree: ast.AST) -> tuple[ast.AST, ...]:
    """What :func:`ast.walk` gives: the same methods are gone through for one fact after the other."""
    return tuple(ast.walk(tree))


def _called_names(tree: ast.AST) -> Iterator[str]:
    for node in _nodes(tree):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute):
                yield node.func.attr
            elif isinstance(node.func, ast.Name):
                yield node.func.id


def _own_attribute(node: ast.AST) -> str | None:
    """``name`` of an expression ``self.name``."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
        return node.attr
    return None


def computes_with(file: str, line: int, name: str) -> bool:
    """Whether a line does more with an attribute ``name`` than to ask for its dtype, device, shape or the like."""
    text = linecache.getline(file, line)
    uses = re.findall(rf"\.{re.escape(name)}\b(?:\.(\w+))?", text)
    return not uses or any(after not in _DESCRIPTIONS for after in uses)


_DESCRIPTIONS = frozenset({"dtype", "device", "shape", "size", "ndim", "dim", "requires_grad", "is_meta", "numel"})
"""What may be asked of a weight without computing with it."""


def _weights_read(method: ast.FunctionDef) -> Iterator[str]:
    if method.name == "__init__":  # there weights are tied and initialised
        return
    asked = {
        id(node.value) for node in _nodes(method) if isinstance(node, ast.Attribute) and node.attr in _DESCRIPTIONS
    }
    for node in _nodes(method):
        if isinstance(node, ast.Attribute) and node.attr == "weight" and isinstance(node.ctx, ast.Load):
            name = _own_attribute(node.value)
            if name is not None and id(node) not in asked:
                yield name


def _weights_handed(methods: list[ast.FunctionDef], file: str, first: int) -> Iterator[tuple[str, Handed]]:
    """Calls that get the weight of a child whole, in ``forward`` and in what it calls of its class.

    Calls of Python's own functions, of torch's, and of what fills a tensor in place, by its name, are none.
    """
    by_name = {method.name: method for method in methods}
    reached, waiting = set[str](), ["forward"]
    while waiting:
        name = waiting.pop()
        if name in by_name and name not in reached:
            reached.add(name)
            waiting += _called_names(by_name[name])
    for name in reached:
        for call in (node for node in _nodes(by_name[name]) if isinstance(node, ast.Call)):
            callee = call.func.id if isinstance(call.func, ast.Name) else ""
            if not callee or hasattr(builtins, callee) or callee.endswith("_"):
                continue
            for argument in (*call.args, *(keyword.value for keyword in call.keywords)):
                if not isinstance(argument, ast.Attribute) or argument.attr != "weight":
                    continue
                if (child := _own_attribute(argument.value)) is not None:
                    yield child, Handed(file, first + argument.lineno - 1, callee)


def _children_used(method: ast.FunctionDef) -> Iterator[str]:
    inside = {id(node.value) for node in _nodes(method) if isinstance(node, ast.Attribute)}
    for node in _nodes(method):
        name = _own_attribute(node)
        if name is not None and id(node) not in inside and isinstance(getattr(node, "ctx", None), ast.Load):
            yield name


def _split_children(method: ast.FunctionDef, methods: frozenset[str]) -> Iterator[str]:
    outputs: dict[str, str] = {}
    taken_out: dict[str, set[int]] = {}  # of a child's output, which parts of its first dimension: qkv[0], qkv[1]
    for node in _in_order(method):
        if isinstance(node, ast.Assign):
            child = _origin(node.value, outputs)
            unpacked = any(isinstance(target, ast.Tuple) and len(target.elts) > 1 for target in node.targets)
            if unpacked and (taken := _sole_argument(node.value, methods)) is not None:
                yield from _known(_origin(taken, outputs))  # q, k, v = self._split_heads(qkv)
            for target in node.targets:
                if isinstance(target, ast.Name):
                    if child is not None:
                        outputs[target.id] = child
                    elif not any(isinstance(part, ast.Name) and part.id == target.id for part in ast.walk(node.value)):
                        outputs.pop(target.id, None)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _SPLITS:
            is_function = isinstance(node.func.value, ast.Name) and node.func.value.id == "torch"
            if node.func.attr == "unbind" or not _along_first(node, 2 if is_function else 1):
                yield from _known(_origin(node.args[0] if is_function and node.args else node.func.value, outputs))
        elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id in outputs:
            child = outputs[node.value.id]
            if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, int):
                taken_out.setdefault(child, set()).add(node.slice.value)
            if _slices_feature_dimension(node.slice) or len(taken_out.get(child, ())) > 1:
                yield child


def _in_order(method: ast.FunctionDef) -> list[ast.Assign | ast.Call | ast.Subscript]:
    """The nodes of ``method`` as they run, line by line: an assignment after what is computed for it."""
    nodes = [node for node in _nodes(method) if isinstance(node, (ast.Assign, ast.Call, ast.Subscript))]
    return sorted(nodes, key=lambda node: (node.end_lineno or node.lineno, isinstance(node, ast.Assign)))


def _along_first(split: ast.Call, place: int) -> bool:
    """Whether a split is along the first dimension, which is the default: it parts a batch, not features.

    ``place`` is where the dimension stands among the positional arguments.
    """
    given = [keyword.value for keyword in split.keywords if keyword.arg == "dim"] + split.args[place : place + 1]
    return not given or (isinstance(given[0], ast.Constant) and given[0].value == 0)


def _known(name: str | None) -> Iterator[str]:
    if name is not None:
        yield name


def _sole_argument(node: ast.AST, methods: frozenset[str]) -> ast.AST | None:
    """What a call of one of the class's own ``methods`` gets, where that is one thing."""
    if isinstance(node, ast.Call) and len(node.args) == 1 and _own_attribute(node.func) in methods:
        return node.args[0]
    return None


def _origin(node: ast.AST, outputs: dict[str, str]) -> str | None:
    """The child whose output ``node`` is, through any chain of tensor methods: ``self.qkv(x).view(…)``."""
    while isinstance(node, ast.Call):
        if (name := _own_attribute(node.func)) is not None:
            return name
        if not isinstance(node.func, ast.Attribute) or node.func.attr in _DESCRIPTIONS:
            return None
        node = node.func.value
    return outputs.get(node.id) if isinstance(node, ast.Name) else None


def _slices_feature_dimension(index: ast.AST) -> bool:
    """Whether ``index`` takes a part of the last dimension, ``[..., :4]``, or of heads before it, ``[..., :n, :]``.

    Constants in that place count tokens: ``[..., :-1, :]`` is all but the last.
    """
    if not isinstance(index, ast.Tuple):
        return False
    dots = [place for place, part in enumerate(index.elts) if isinstance(part, ast.Constant) and part.value is Ellipsis]
    if not dots or dots[0] == len(index.elts) - 1:
        return False
    *before, last = index.elts[dots[0] + 1 :]
    bounds = [bound for part in before if isinstance(part, ast.Slice) for bound in (part.lower, part.upper)]
    return (isinstance(last, ast.Slice) and (last.lower or last.upper) is not None) or any(
        isinstance(part, (ast.Name, ast.Attribute)) for bound in bounds if bound is not None for part in ast.walk(bound)
    )


_PRODUCTS = frozenset({"linear", "matmul", "bmm", "mm", "einsum", "baddbmm", "addmm", "grouped_mm", "_grouped_mm"})


def _matrices(tree: ast.AST) -> Iterator[str]:
    for node in _nodes(tree):
        operands: list[ast.AST] = []
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
            operands = [node.left, node.right]
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", None))
            if name in _PRODUCTS:
                operands = [*node.args, getattr(node.func, "value", node.func)]
        for operand in operands:
            yield from (attribute for part in ast.walk(operand) if (attribute := _own_attribute(part)))


def _returns_tuple(method: ast.FunctionDef) -> bool:
    returns = [node.value for node in _own_returns(method)]
    return bool(returns) and all(isinstance(value, ast.Tuple) and len(value.elts) > 1 for value in returns)


def _own_returns(node: ast.AST) -> Iterator[ast.Return]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Return):
            yield child
        elif not isinstance(child, (ast.FunctionDef, ast.Lambda, ast.ClassDef)):
            yield from _own_returns(child)
