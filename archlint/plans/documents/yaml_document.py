"""YAML files, as trainers read them: one mapping, whose keys are the settings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from archlint.plans.document import Document, Entry, PlanError, Section, Value
from archlint.plans.documents.splicing import Lines, Splice, spliced
from archlint.plans.yaml_scalars import scalar

_MOST_NODES = 100_000
"""Aliases may stand for each other: a file that comes to more than this is not read."""
_FLOAT = re.compile(r"[-+]?[\d.]+([eE][-+]?\d+)?")
_KINDS = {"map", "seq", "str", "int", "float", "bool", "null", "timestamp"}


class YamlDocument(Document):
    """A block mapping. It is read by YAML 1.1, in which ``yes`` is true: the version that trainers read."""

    syntax = "YAML"

    def _read(self) -> tuple[Section, ...]:
        self._lines = Lines(self.text)
        self._nodes: dict[str, tuple[Node, Node]] = {}
        root = self._composed()
        if not isinstance(root, MappingNode):
            raise PlanError(f"{self.path}: a mapping of settings is expected")
        _check_size(root, {}, self.path)
        self._flow = bool(root.flow_style)
        entries: dict[str, Entry] = {}
        for key, value in root.value:
            line = key.start_mark.line + 1
            if key.tag.endswith(":merge"):
                raise PlanError(f"{self.path}:{line}: a merge key (<<) is not read here; write the settings out")
            name = self._data(key)
            if not isinstance(name, str):
                raise PlanError(f"{self.path}:{line}: a key must be a text, not {name!r}")
            if name in entries:
                raise PlanError(
                    f"{self.path}:{line}: the key {name} is there twice, first in line {entries[name].line}"
                )
            self._nodes[name] = key, value
            entries[name] = Entry(name, line, key.start_mark.index, self._value(value))
        return (Section("", entries, start=root.start_mark.index, end=root.end_mark.index),)

    def _composed(self) -> Node | None:
        reader = YAML(typ="safe", pure=True)
        reader.version = (1, 1)
        try:
            node: Node | None = reader.compose(self.text)
            self._construct = reader.constructor.construct_object
        except YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            where = f":{mark.line + 1}" if mark is not None else ""
            problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
            raise PlanError(f"{self.path}{where}: not YAML: {problem}") from error
        except (RecursionError, ValueError) as error:
            raise PlanError(f"{self.path}: not YAML: {type(error).__name__}") from error
        return node

    def _value(self, node: Node) -> Value:
        items = tuple(map(self._value, node.value)) if isinstance(node, SequenceNode) else ()
        line = node.start_mark.line + 1
        return Value(self._data(node), line, node.start_mark.index, node.end_mark.index, items)

    def _data(self, node: Node) -> Any:
        kind = str(node.tag).rpartition(":")[2]
        line = node.start_mark.line + 1
        if kind not in _KINDS or not str(node.tag).startswith("tag:yaml.org,2002:"):
            raise PlanError(f"{self.path}:{line}: the tag {node.tag} is not read here")
        if isinstance(node, SequenceNode):
            return [self._data(item) for item in node.value]
        if isinstance(node, MappingNode):
            return {str(self._data(key)): self._data(value) for key, value in node.value}
        if kind in ("str", "timestamp"):
            return node.value
        try:
            if kind == "float" and _FLOAT.fullmatch(node.value):
                return float(node.value)  # trainers mean a number by 1e-4, for which YAML 1.1 wants a dot
            return self._construct(node)
        except (ValueError, YAMLError) as error:
            raise PlanError(f"{self.path}:{line}: {node.value!r} is no {kind}") from error

    def spelled(self, section: Section, key: str, data: Any) -> str:
        return f"{scalar(key)}: {_flow(data, self._quote(key))}"

    def rewritten(self, section: Section, changes: Mapping[str, Any]) -> str:
        if self._flow:
            raise PlanError(f"{self.path}: settings between braces are not rewritten")
        splices: list[Splice] = []
        for key in [key for key in changes if key in section.entries]:
            self._check_own(key)
            splices += self._removal(key) if changes[key] is None else self._replacement(section, key, changes[key])
        new = {key: data for key, data in changes.items() if key not in section.entries and data is not None}
        if new:
            splices.append(self._insertion(section, changes, new))
        return spliced(self.text, splices)

    def _check_own(self, key: str) -> None:
        name, value = self._nodes[key]
        if value.anchor or value.start_mark.index < name.start_mark.index:
            raise PlanError(f"{self.path}:{name.start_mark.line + 1}: the value of {key} is shared by an anchor")

    def _colon(self, key: str) -> int:
        """Where the key's colon ends."""
        return self.text.index(":", self._nodes[key][0].end_mark.index) + 1

    def _last(self, key: str) -> int:
        """The offset of the last character that belongs to the value, or to the key where there is none."""
        value = self._nodes[key][1]
        colon = self._colon(key)
        if value.end_mark.index <= colon or (isinstance(value, ScalarNode) and not value.value and not value.style):
            return colon - 1
        if _is_block(value):
            return max(self._end_of(item) for item in value.value) - 1
        return len(self.text[: value.end_mark.index].rstrip()) - 1

    def _end_of(self, node: Node) -> int:
        if _is_block(node):
            return max(map(self._end_of, node.value))
        if isinstance(node, MappingNode) and not node.flow_style:
            return max(self._end_of(value) for _, value in node.value)
        return len(self.text[: node.end_mark.index].rstrip())

    def _removal(self, key: str) -> list[Splice]:
        start = self._lines.start(self._nodes[key][0].start_mark.index)
        return [(start, self._lines.after(self._last(key)), "")]

    def _replacement(self, section: Section, key: str, data: Any) -> list[Splice]:
        value = self._nodes[key][1]
        colon = self._colon(key)
        if _is_block(value):
            if isinstance(data, list) and data and (splices := self._items(section.entries[key], data)) is not None:
                return splices
            written = f" {_flow(data, self._quote(key))}"
            if isinstance(data, list) and data:
                dash = self._dash(value.value[0])
                written = "".join(f"{self._lines.newline}{dash}{scalar(item, self._quote(key))}" for item in data)
            gone = [(self._lines.first(line), self._lines.first(line + 1), "") for line in self._lines_of(value)]
            behind = self._lines.end(colon)
            at = behind if written.startswith(("\n", "\r")) else colon
            return [(at, at, written), *gone]
        written = _flow(data, self._quote(key))
        last = self._last(key)
        if last < colon:
            return [(colon, colon, f" {written}")]
        return [(value.start_mark.index, last + 1, written)]

    def _lines_of(self, value: Node) -> list[int]:
        """The lines of a block list that hold its items: comments between them are none of these."""
        lines: dict[int, None] = {}
        for item in value.value:
            first, last = item.start_mark.line + 1, self._lines.number(self._end_of(item) - 1)
            lines.update(dict.fromkeys(range(first, last + 1)))
        return list(lines)

    def _items(self, entry: Entry, data: list[Any]) -> list[Splice] | None:
        """The changes to single items of a block list; ``None`` where the list is written anew."""
        old = entry.value.items
        alone = all(self.text[self._lines.start(item.start) : item.start].strip() == "-" for item in old)
        kept = [item for item in old if item.data in data]
        added = [item for item in data if all(item != one.data for one in old)]
        if not alone or not kept or [item.data for item in kept] + added != data:
            return None
        gone = [item for item in old if item not in kept]
        splices = [(self._lines.start(item.start), self._lines.after(item.end), "") for item in gone]
        if added:
            dash = self._dash(self._nodes[entry.key][1].value[0])
            at = self._lines.end(kept[-1].end)
            quote = self._quote(entry.key)
            text = "".join(f"{self._lines.newline}{dash}{scalar(item, quote)}" for item in added)
            splices.append((at, at, text))
        return splices

    def _dash(self, item: Node) -> str:
        return self.text[self._lines.start(item.start_mark.index) : item.start_mark.index]

    def _insertion(self, section: Section, changes: Mapping[str, Any], new: Mapping[str, Any]) -> Splice:
        kept = [key for key in section.entries if changes.get(key, key) is not None]
        changed = [key for key in kept if key in changes]
        keys = changed or kept
        margin = self._lines.margin(self._nodes[keys[-1]][0].start_mark.index) if keys else ""
        lines = [f"{margin}{self.spelled(section, key, data)}" for key, data in new.items()]
        if not keys:
            return section.end, section.end, self._lines.newline.join(lines) + self._lines.newline
        at = self._lines.end(self._last(keys[-1]))
        return at, at, "".join(f"{self._lines.newline}{line}" for line in lines)

    def _quote(self, key: str) -> str | None:
        """The quotes that the texts of a value stand in."""
        if key not in self._nodes:
            return None
        value = self._nodes[key][1]
        nodes = value.value if isinstance(value, SequenceNode) else [value]
        styles = {node.style for node in nodes if isinstance(node, ScalarNode)}
        style = styles.pop() if len(styles) == 1 else None
        return style if style in ("'", '"') else None


def _is_block(node: Node) -> bool:
    return isinstance(node, SequenceNode) and not node.flow_style and bool(node.value)


def _check_size(root: Node, sizes: dict[int, int], path: object) -> int:
    """How many nodes there are with each alias written out.

    Raises:
        PlanError: too many, or one that holds itself.
    """
    if id(root) in sizes:
        if sizes[id(root)] < 0:
            raise PlanError(f"{path}: an alias stands inside what it stands for")
        return sizes[id(root)]
    sizes[id(root)] = -1
    parts = root.value if isinstance(root, SequenceNode) else []
    if isinstance(root, MappingNode):
        parts = [part for pair in root.value for part in pair]
    size = 1 + sum(_check_size(part, sizes, path) for part in parts)
    if size > _MOST_NODES:
        raise PlanError(f"{path}: its aliases come to more than {_MOST_NODES} values")
    sizes[id(root)] = size
    return size


def _flow(data: Any, quote: str | None = None) -> str:
    if isinstance(data, Mapping):
        return "{" + ", ".join(f"{scalar(key)}: {_flow(value, quote)}" for key, value in data.items()) + "}"
    if isinstance(data, Sequence) and not isinstance(data, str):
        return "[" + ", ".join(_flow(item, quote) for item in data) + "]"
    return scalar(data, quote)
