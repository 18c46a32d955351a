"""Python files: the calls in a training script, as far as their arguments are literals. Nothing is run."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from archlint.plans.document import COMPUTED, Document, Entry, PlanError, Section, Value
from archlint.plans.documents.splicing import Lines, Splice, spliced


class PythonDocument(Document):
    """The calls of a module, one section each, in the order in which they stand there."""

    syntax = "Python"

    def _read(self) -> tuple[Section, ...]:
        self._lines = Lines(self.text)
        try:
            module = ast.parse(self.text)
            self._constants = dict(_constants(module))
            calls = [node for node in ast.walk(module) if isinstance(node, ast.Call) and _name(node.func)]
            calls.sort(key=lambda call: (call.lineno, call.col_offset))
            return tuple(map(self._section, calls))
        except SyntaxError as error:
            raise PlanError(f"{self.path}:{error.lineno or 1}: not Python: {error.msg}") from error
        except (RecursionError, MemoryError, ValueError) as error:
            raise PlanError(f"{self.path}: not Python: {type(error).__name__}") from error

    def _section(self, call: ast.Call) -> Section:
        entries: dict[str, Entry] = {}
        for keyword in call.keywords:
            if keyword.arg is not None:
                start = self._offset(keyword.lineno, keyword.col_offset)
                entries[keyword.arg] = Entry(keyword.arg, keyword.lineno, start, self._value(keyword.value))
            else:
                entries.update(self._unpacked(keyword.value))
        words = tuple(self._value(word) for word in call.args if not isinstance(word, ast.Starred))
        start = self._offset(call.func.end_lineno or call.lineno, call.func.end_col_offset or 0)
        return Section(_name(call.func), entries, words, call.lineno, start, self._end(call))

    def _unpacked(self, node: ast.expr) -> Iterator[tuple[str, Entry]]:
        """The members of a dictionary that a call takes with ``**``, where it is written out in the file."""
        node = self._constants.get(node.id, node) if isinstance(node, ast.Name) else node
        if isinstance(node, ast.Call) and _name(node.func) == "dict":
            for keyword in node.keywords:
                if keyword.arg is not None:
                    start = self._offset(keyword.lineno, keyword.col_offset)
                    yield keyword.arg, Entry(keyword.arg, keyword.lineno, start, self._value(keyword.value))
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    start = self._offset(key.lineno, key.col_offset)
                    yield key.value, Entry(key.value, key.lineno, start, self._value(value))
        else:
            start = self._offset(node.lineno, node.col_offset)
            yield "**", Entry("**", node.lineno, start, Value(COMPUTED, node.lineno, start, self._end(node)))

    def _value(self, node: ast.expr) -> Value:
        if isinstance(node, ast.Name) and node.id in self._constants:
            node = self._constants[node.id]
        items: tuple[Value, ...] = ()
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            items = tuple(map(self._value, node.elts))
        start = self._offset(node.lineno, node.col_offset)
        return Value(self._data(node), node.lineno, start, self._end(node), items)

    def _data(self, node: ast.expr) -> Any:
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            items = [self._value(item).data for item in node.elts]
            return COMPUTED if COMPUTED in items else items
        try:
            data = ast.literal_eval(node)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            return self._enumerated(node)
        if isinstance(data, dict):
            return {str(key): value for key, value in data.items()}
        return data if data is None or isinstance(data, (bool, int, float, str)) else COMPUTED

    def _enumerated(self, node: ast.expr) -> Any:
        """A member of an enumeration by its name: ``TaskType.CAUSAL_LM`` stands for its own word."""
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.attr.isupper():
            return node.attr
        return COMPUTED

    def _offset(self, line: int, column: int) -> int:
        """An offset into the text: Python counts columns in bytes."""
        start = self._lines.first(line)
        text = self.text[start : self._lines.end(start)]
        return start + len(text.encode()[:column].decode(errors="ignore"))

    def _end(self, node: ast.expr) -> int:
        return self._offset(node.end_lineno or node.lineno, node.end_col_offset or 0)

    def spelled(self, section: Section, key: str, data: Any) -> str:
        return f"{key}={_literal(data)}"

    def rewritten(self, section: Section, changes: Mapping[str, Any]) -> str:
        splices: list[Splice] = []
        for key in [key for key in changes if key in section.entries]:
            entry = section.entries[key]
            if changes[key] is not None:
                splices.append((entry.value.start, entry.value.end, self._written(entry, changes[key])))
            elif section.start <= entry.start < section.end:
                splices.append(self._removal(section, entry))
            else:
                raise PlanError(f"{self.path}:{entry.line}: {key} is set outside the call; take it out by hand")
        new = {key: data for key, data in changes.items() if key not in section.entries and data is not None}
        if new:
            splices.append(self._insertion(section, changes, new))
        return spliced(self.text, splices)

    def _written(self, entry: Entry, data: Any) -> str:
        old = self.text[entry.value.start : entry.value.end]
        if not isinstance(data, list) or "\n" not in old or not data:
            return _literal(data)
        margin = self._lines.margin(entry.start)
        lines = "".join(f"{self._lines.newline}{margin}    {_literal(item)}," for item in data)
        return f"[{lines}{self._lines.newline}{margin}]"

    def _removal(self, section: Section, entry: Entry) -> Splice:
        behind = re.compile(r"\s*,[ \t]*").match(self.text, entry.value.end)
        if behind is None:  # the last argument: the comma before it goes too
            before = self.text[section.start : entry.start].rstrip()
            return section.start + len(before.removesuffix(",")), entry.value.end, ""
        start, end = entry.start, behind.end()
        alone = self.text[self._lines.start(start) : start].strip() == ""
        if alone and self.text[end : self._lines.end(end)].strip() in ("",) and end < len(self.text):
            return self._lines.start(start), self._lines.after(end), ""
        return start, end, ""

    def _insertion(self, section: Section, changes: Mapping[str, Any], new: Mapping[str, Any]) -> Splice:
        own = [entry for entry in section.entries.values() if section.start <= entry.start < section.end]
        kept = [entry for entry in own if changes.get(entry.key, entry) is not None]
        changed = [entry for entry in kept if entry.key in changes]
        written = [f"{key}={_literal(data)}" for key, data in new.items()]
        if not kept:
            at = section.end - 1
            text = ", ".join(written)
            follows = bool(section.words) and not self.text[:at].rstrip().endswith(",")
            return at, at, f", {text}" if follows else text
        after = (changed or kept)[-1]
        alone = self.text[self._lines.start(after.start) : after.start].strip() == ""
        between = f",{self._lines.newline}{self._lines.margin(after.start)}" if alone else ", "
        at = after.value.end
        if not section.start <= at <= section.end:  # its value is a constant that stands elsewhere
            at = after.start + len(re.compile(r"\w+\s*=\s*\w+").match(self.text, after.start)[0])  # type: ignore[index]
        return at, at, "".join(f"{between}{line}" for line in written)


def _name(function: ast.expr) -> str:
    """``a.b.c`` of a call; empty where what is called has no such name."""
    if isinstance(function, ast.Name):
        return function.id
    if isinstance(function, ast.Attribute):
        above = _name(function.value)
        return f"{above}.{function.attr}" if above else function.attr
    return ""


def _constants(module: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Names that are given a value once in the whole file, with that value."""
    stored = Counter(
        node.id for node in ast.walk(module) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )
    parameters = {node.arg for node in ast.walk(module) if isinstance(node, ast.arg)}
    for node in ast.walk(module):
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target, value = node.targets[0], node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            target, value = node.target, node.value
        else:
            continue
        is_name = isinstance(value, ast.Name)  # which is not followed further
        if isinstance(target, ast.Name) and not is_name and stored[target.id] == 1 and target.id not in parameters:
            yield target.id, value


def _literal(data: Any) -> str:
    if isinstance(data, str):
        if data.isprintable() and '"' not in data and not data.endswith("\\"):
            return f'r"{data}"' if "\\" in data else f'"{data}"'
        return repr(data)
    if isinstance(data, list):
        return "[" + ", ".join(map(_literal, data)) + "]"
    if isinstance(data, Mapping):
        return "{" + ", ".join(f"{_literal(key)}: {_literal(value)}" for key, value in data.items()) + "}"
    return repr(data)
