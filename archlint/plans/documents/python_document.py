"""Python files: the calls in a training script, as far as their arguments are literals. Nothing is run."""

from __future__ import annotations

import ast
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

from archlint.plans.document import COMPUTED, UNREAD, Document, Entry, PlanError, Section, Value, is_countable
from archlint.plans.documents.items import successors
from archlint.plans.documents.python_brackets import LINE_ENDS, Brackets, Tokens
from archlint.plans.documents.python_names import Names
from archlint.plans.documents.splicing import Lines, Splice, spliced

_COLLECTIONS = (ast.List, ast.Tuple, ast.Set, ast.Dict)
_Node = ast.expr | ast.keyword


@dataclass(frozen=True, slots=True)
class _Argument:
    """An entry and its place: which member of which brackets it is."""

    entry: Entry
    value: ast.expr
    home: ast.Call | ast.Dict | None = None
    """``None`` where it is set behind the call."""
    index: int = 0
    shared: bool = False
    """Whether something else than the call uses these brackets too."""


class PythonDocument(Document):
    """The calls of a module, one section each, in the order in which they stand there.

    A name stands for its value if it gets only one, and nothing changes that. Arguments that cannot be read, such as
    ``**settings`` from elsewhere, are an entry ``**``; an attribute that is set behind the call is a computed one.
    """

    syntax = "Python"

    def _read(self) -> tuple[Section, ...]:
        self._lines = Lines(self.text, LINE_ENDS)
        self._columns: dict[int, list[int]] = {}
        self._values: dict[tuple[ast.expr, str], Value] = {}
        self._unpackings: dict[tuple[ast.expr, bool], dict[str, _Argument] | None] = {}
        self._calls: dict[int, tuple[ast.Call, dict[str, _Argument]]] = {}
        try:
            module = ast.parse(self.text)
            self._names = Names(module)
            calls = sorted(_calls(module), key=lambda call: (call.lineno, call.col_offset))
            return tuple(map(self._section, calls))
        except SyntaxError as error:
            raise PlanError(f"{self.path}:{error.lineno or 1}: not Python: {error.msg}") from error
        except (RecursionError, MemoryError, ValueError) as error:
            raise PlanError(f"{self.path}: not Python: {type(error).__name__}") from error

    def _section(self, call: ast.Call) -> Section:
        about = _name(call.func)
        arguments = self._given(call, False)
        if about.rpartition(".")[2][:1].isupper():  # a class: what it is given becomes attributes of what it makes
            for name, place in self._names.attributes(call).items():
                key = UNREAD if name == "*" else name
                start = self._start(place)
                value = Value(COMPUTED, place.lineno, start, self._end(place))
                arguments[key] = _Argument(Entry(key, place.lineno, start, value), place)
        start = self._end(call.func)
        self._calls[start] = call, arguments
        entries = {key: argument.entry for key, argument in arguments.items()}
        return Section(about, entries, tuple(map(self._value, call.args)), call.lineno, start, self._end(call))

    def _given(self, home: ast.Call | ast.Dict, shared: bool) -> dict[str, _Argument]:
        """What a call or a dictionary is given by name."""
        given: dict[str, _Argument] = {}
        for index, (key, node, value) in enumerate(_members(home)):
            if key is None:
                given.update(self._unpacked(node, value, home, index, shared))
            elif key:
                given[key] = self._argument(key, node, value, home, index, shared)
        return given

    def _unpacked(
        self, node: _Node, value: ast.expr, home: ast.Call | ast.Dict, index: int, shared: bool
    ) -> dict[str, _Argument]:
        """The members of a dictionary that another takes over, where it is written out in the file."""
        source = value
        if isinstance(value, ast.Name) and (constant := self._names.constant(value.id)) is not None:
            source, shared = constant, shared or self._names.uses(value.id) > 1
        if isinstance(source, ast.Dict) or (isinstance(source, ast.Call) and _name(source.func) == "dict"):
            place = source, shared
            if place not in self._unpackings:
                self._unpackings[place] = None  # for one that stands in itself
                self._unpackings[place] = self._given(source, shared)
            if (given := self._unpackings[place]) is not None:
                return given
        return {UNREAD: self._argument(UNREAD, node, value, home, index, shared)}

    def _argument(
        self, key: str, node: _Node, value: ast.expr, home: ast.Call | ast.Dict, index: int, shared: bool
    ) -> _Argument:
        read = self._value(value, key)
        if key == UNREAD:
            read = Value(COMPUTED, read.line, read.start, read.end)
        return _Argument(Entry(key, node.lineno, self._start(node), read), value, home, index, shared)

    def _value(self, node: ast.expr, key: str = "") -> Value:
        """The value of an expression that is given as ``key``."""
        if isinstance(node, ast.Name):
            node = self._names.constant(node.id) or node
        if (node, key) not in self._values:
            items: tuple[Value, ...] = ()
            if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
                items = tuple(map(self._item, node.elts))
                data: Any = [item.data for item in items]
                data = COMPUTED if any(item is COMPUTED for item in data) else data
            elif isinstance(node, ast.Dict):
                data = self._dictionary(node)
            else:
                data = _scalar(node, key)
            self._values[node, key] = Value(data, node.lineno, self._start(node), self._end(node), items)
        return self._values[node, key]

    def _item(self, node: ast.expr) -> Value:
        """A value inside another, where a name stands for no collection: these could come to no end."""
        if not isinstance(node, ast.Name):
            return self._value(node)
        is_collection = isinstance(self._names.constant(node.id), _COLLECTIONS)
        data = COMPUTED if is_collection else self._value(node).data
        return Value(data, node.lineno, self._start(node), self._end(node))

    def _dictionary(self, node: ast.Dict) -> Any:
        data: dict[str, Any] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            name = COMPUTED if key is None else self._item(key).data
            item = self._item(value).data
            if name is COMPUTED or item is COMPUTED:
                return COMPUTED
            data[str(name)] = item
        return data

    def _offset(self, line: int, column: int) -> int:
        """An offset into the text: Python counts columns in bytes."""
        start = self._lines.first(line)
        if line not in self._columns:
            text = self.text[start : self._lines.end(start)]
            bytes_of_each = () if text.isascii() else (len(sign.encode()) for sign in text)
            self._columns[line] = list(accumulate(bytes_of_each, initial=0))
        columns = self._columns[line]
        return start + (bisect_left(columns, column) if len(columns) > 1 else column)

    def _start(self, node: _Node) -> int:
        return self._offset(node.lineno, node.col_offset)

    def _end(self, node: _Node) -> int:
        return self._offset(node.end_lineno or node.lineno, node.end_col_offset or 0)

    @cached_property
    def _tokens(self) -> Tokens:
        return Tokens(self.text, self._lines)

    def comments(self) -> list[tuple[int, str]]:
        return [(start, self.text[start:end]) for start, end in self._tokens.comments(0, len(self.text))]

    def spelled(self, section: Section, key: str, data: Any) -> str:
        call, arguments = self._calls[section.start]
        home = arguments[key].home if key in arguments else None
        return self._pair(home or call, key, data)

    def _pair(self, home: ast.Call | ast.Dict, key: str, data: Any) -> str:
        quote = self._tokens.quote(self._start(home), self._end(home))
        if isinstance(home, ast.Dict):
            return f"{_literal(key, quote)}: {_literal(data, quote)}"
        return f"{key}={_literal(data, quote)}"

    def rewritten(self, section: Section, changes: Mapping[str, Any]) -> str:
        call, arguments = self._calls[section.start]
        splices: list[Splice] = []
        gone: dict[ast.Call | ast.Dict, set[int]] = {}
        for key in [key for key in changes if key in arguments]:
            argument = arguments[key]
            if argument.home is None or argument.shared:
                raise PlanError(f"{self.path}:{argument.entry.line}: {key} is set outside the call; change it by hand")
            if changes[key] is None:
                gone.setdefault(argument.home, set()).add(argument.index)
            else:
                splices += self._replacement(argument.value, changes[key])
        new = {key: data for key, data in changes.items() if key not in arguments and data is not None}
        place, after = self._anchor(section, changes) if new else (call, None)
        for home in {**gone, place: set()}:
            order: list[int | str] = []
            written = [self._pair(home, key, data) for key, data in new.items()] if home is place else []
            brackets = self._brackets(home)
            for index in range(len(brackets)):
                order += [] if index in gone.get(home, ()) else [index]
                if index == after and home is place:
                    order += written
            order += written if after is None else []
            splices += brackets.arranged(order)
        return spliced(self.text, splices)

    def _anchor(self, section: Section, changes: Mapping[str, Any]) -> tuple[ast.Call | ast.Dict, int | None]:
        """The brackets that new arguments come into, and the member that they come behind; ``None`` for the last."""
        call, arguments = self._calls[section.start]
        kept = [
            argument
            for key, argument in arguments.items()
            if argument.home is not None
            and section.start <= argument.entry.start < section.end
            and changes.get(key, argument) is not None
        ]
        changed = [argument for argument in kept if argument.entry.key in changes]
        for argument in (changed or kept)[-1:]:
            return argument.home or call, argument.index
        return call, None

    def _replacement(self, node: ast.expr, data: Any) -> list[Splice]:
        """The changes that make ``data`` of an expression: only items that differ are touched."""
        value = self._value(node)
        if isinstance(node, ast.Name) and self._names.uses(node.id) == 1 and value.data is not COMPUTED:
            node = self._names.constant(node.id) or node
        if repr(value.data) == repr(data):
            return []
        start, end = self._start(node), self._end(node)
        quote = self._tokens.quote(value.start, value.end)
        if isinstance(node, _COLLECTIONS) and self._tokens.closing.get(start) == end - 1:
            brackets = self._brackets(node)
            order = self._order(node, data, quote)
            if order is not None:
                comma = True if isinstance(node, ast.Tuple) and len(order) == 1 else None
                return brackets.arranged(order, comma)
            if brackets.has_free_comments:
                around = [(start, start + 1, "("), (end - 1, end, ")")]
                return [*around, *brackets.arranged([_literal(data, quote)], comma=False)]
        return [(start, end, _literal(data, quote))]

    def _order(self, node: ast.expr, data: Any, quote: str) -> list[int | str] | None:
        """The members of a collection that ``data`` has too, by number, and its others; ``None`` if it is no such."""
        value = self._value(node)
        if isinstance(data, list) and not isinstance(node, ast.Dict) and (data or not isinstance(node, ast.Set)):
            old, new = [item.data for item in value.items], data
            texts = [_literal(item, quote) for item in data]
        elif isinstance(data, Mapping) and isinstance(node, ast.Dict) and isinstance(value.data, dict):
            old, new = list(value.data.items()), list(data.items())
            texts = [f"{_literal(key, quote)}: {_literal(item, quote)}" for key, item in new]
            if len(old) < len(node.keys):  # one of them is there twice
                return None
        else:
            return None
        numbers = successors(old, new)
        return [text if number is None else number for number, text in zip(numbers, texts, strict=True)]

    def _brackets(self, node: ast.expr) -> Brackets:
        if isinstance(node, (ast.Call, ast.Dict)):
            spans = [(self._start(first), self._end(value)) for _, first, value in _members(node)]
        else:
            spans = [(self._start(item), self._end(item)) for item in getattr(node, "elts", ())]
        return Brackets(self._tokens, self._tokens.opening[self._end(node) - 1], spans)


def _calls(module: ast.Module) -> Iterator[ast.Call]:
    """The calls of something that has a name; not those in f-strings, where Python has no places for them."""
    nodes: list[ast.AST] = [module]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Call) and _name(node.func):
            yield node
        if not isinstance(node, ast.JoinedStr):
            nodes += ast.iter_child_nodes(node)


def _name(function: ast.expr) -> str:
    """``a.b.c`` of a call; empty where what is called has no such name."""
    if isinstance(function, ast.Name):
        return function.id
    if isinstance(function, ast.Attribute):
        above = _name(function.value)
        return f"{above}.{function.attr}" if above else function.attr
    return ""


def _members(home: ast.Call | ast.Dict) -> list[tuple[str | None, _Node, ast.expr]]:
    """What stands in a call or a dictionary: the key, where it begins, and the value.

    The key is ``None`` where a dictionary is taken over, and empty for a word in a call.
    """
    if isinstance(home, ast.Dict):
        return [(_key(key), key or value, value) for key, value in zip(home.keys, home.values, strict=True)]
    word = None if _name(home.func) == "dict" else ""
    members: list[tuple[str | None, _Node, ast.expr]] = [
        *((UNREAD if isinstance(node, ast.Starred) else word, node, node) for node in home.args),
        *((keyword.arg, keyword, keyword.value) for keyword in home.keywords),
    ]
    return sorted(members, key=lambda member: (member[1].lineno, member[1].col_offset))


def _key(node: ast.expr | None) -> str | None:
    if node is None:
        return None
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else UNREAD


def _scalar(node: ast.expr, key: str) -> Any:
    try:
        data = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return _enumerated(node, key)
    if isinstance(data, int) and not is_countable(data):
        return COMPUTED
    return data if data is None or isinstance(data, (bool, int, float, str)) else COMPUTED


def _enumerated(node: ast.expr, key: str) -> Any:
    """A member of the enumeration that is called like the argument: ``TaskType.CAUSAL_LM`` stands for its own word."""
    if isinstance(node, ast.Attribute) and node.attr.isupper():
        owner = _name(node.value).rpartition(".")[2].lower()
        if owner and key.replace("_", "").endswith(owner):
            return node.attr
    return COMPUTED


def _literal(data: Any, quote: str) -> str:
    if isinstance(data, str):
        if data.isprintable() and quote not in data and not data.endswith("\\"):
            return f"r{quote}{data}{quote}" if "\\" in data else f"{quote}{data}{quote}"
        return repr(data)
    if isinstance(data, list):
        return "[" + ", ".join(_literal(item, quote) for item in data) + "]"
    if isinstance(data, Mapping):
        return "{" + ", ".join(f"{_literal(key, quote)}: {_literal(item, quote)}" for key, item in data.items()) + "}"
    return repr(data)
