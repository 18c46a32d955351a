"""What the names of a Python file stand for, as far as that can be told without running it."""

from __future__ import annotations

import ast
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from types import MappingProxyType

_CHANGING = {name for kind in (list, set, dict) for name in dir(kind)}.difference(
    *map(dir, (tuple, frozenset, MappingProxyType))
)
"""What changes a list, a set or a dictionary in place: the methods that those which cannot be changed lack."""
_Place = tuple[int, int]


class Names:
    """The names of a module: their values, their uses, and what is changed by way of them."""

    def __init__(self, module: ast.Module) -> None:
        self._uses: Counter[str] = Counter()
        self._values: dict[str, ast.expr | None] = {}
        self._stores: dict[str, list[_Place]] = defaultdict(list)
        self._homes: dict[ast.expr | None, list[tuple[str, _Place]]] = defaultdict(list)
        changes: list[tuple[str, ast.expr]] = []
        for node in ast.walk(module):
            for name in _bound(node):
                self._stores[name].append(_place(node))
            targets, value = _assigned(node)
            for target in targets:
                self._homes[value].append((path(target), _place(target)))
                if isinstance(target, ast.Name) and len(targets) == 1:  # else it has another name besides
                    self._values[target.id] = value
            changes += _changed(node)
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Store):
                self._uses[node.id] += 1
            elif isinstance(node, ast.Attribute):
                self._uses[node.attr] += 1
        for places in self._stores.values():
            places.sort()
        self._changed = {changed for changed, _ in changes}
        self._attributes: dict[tuple[str, _Place], dict[str, ast.expr]] = defaultdict(dict)
        for changed, by in changes:
            for name, attribute in _owners(changed):
                if name in self._stores:
                    self._attributes[name, self._last_store(name, _place(by))].setdefault(attribute, by)

    def constant(self, name: str) -> ast.expr | None:
        """The value of a name that gets one once in the whole file, and that nothing changes; else ``None``."""
        is_constant = name in self._values and len(self._stores[name]) == 1 and name not in self._changed
        return self._values[name] if is_constant else None

    def uses(self, name: str) -> int:
        """How often a name is read, as an attribute too: of a class, or of the module."""
        return self._uses[name]

    def attributes(self, value: ast.expr) -> Mapping[str, ast.expr]:
        """The attributes that are changed of what ``value`` makes, each with where; ``*`` for those not known.

        A change is one of the value that the name got last before it, in the order of the text.
        """
        found: dict[str, ast.expr] = {}
        for home in self._homes.get(value, ()):
            found.update(self._attributes.get(home, {}))
        return found

    def _last_store(self, name: str, place: _Place) -> _Place:
        stores = self._stores[name]
        return stores[max(bisect_right(stores, place) - 1, 0)]


def path(node: ast.AST) -> str:
    """``a.b.c`` of an expression, its subscripts left out; empty where it does not begin with a name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Subscript):
        return path(node.value)
    if isinstance(node, ast.Attribute) and (above := path(node.value)):
        return f"{above}.{node.attr}"
    return ""


def _place(node: ast.AST) -> _Place:
    return getattr(node, "lineno", 0), getattr(node, "col_offset", 0)


def _bound(node: ast.AST) -> Iterator[str]:
    """The name, or the attribute of one, that ``node`` gives a value."""
    if isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Store):
        yield path(node)
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, ast.alias):
        yield node.asname or node.name.partition(".")[0]
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield node.name
    elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)):
        yield node.name or ""
    elif isinstance(node, ast.MatchMapping):
        yield node.rest or ""


def _assigned(node: ast.AST) -> tuple[list[ast.expr], ast.expr | None]:
    """The targets of an assignment, and their value; no targets where ``node`` is none."""
    if isinstance(node, ast.Assign):
        return node.targets, node.value
    if isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
        return [node.target], node.value
    return [], None


def _owners(changed: str) -> Iterator[tuple[str, str]]:
    """What the thing at a path belongs to, each with the attribute of it; ``*`` where that is not known."""
    names = changed.split(".")
    for depth in range(1, len(names)):
        yield ".".join(names[:depth]), "*" if names[depth] == "__dict__" else names[depth]


def _changed(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """The path to what ``node`` changes in place, with ``*`` for an attribute that is not known."""
    if isinstance(node, ast.Attribute):
        if not isinstance(node.ctx, ast.Load):
            yield path(node), node
        elif node.attr in _CHANGING:
            yield path(node.value), node
    elif isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
        yield path(node.value), node
    elif isinstance(node, ast.Call) and path(node.func) in ("setattr", "delattr") and node.args:
        word = node.args[1] if len(node.args) > 1 else None
        name = word.value if isinstance(word, ast.Constant) and isinstance(word.value, str) else "*"
        if owner := path(node.args[0]):
            yield f"{owner}.{name}", node
