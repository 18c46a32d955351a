"""YAML files, as trainers read them: one mapping, whose keys are the settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from archlint.plans.document import Document, Entry, PlanError, Section, Value
from archlint.plans.documents.splicing import Lines, Splice, spliced
from archlint.plans.documents.yaml_edits import YamlEdits, flow
from archlint.plans.documents.yaml_nodes import (
    YamlProblem,
    YamlReader,
    comments,
    is_merge,
    line_of,
    node_end,
    value_end,
)
from archlint.plans.yaml_scalars import scalar


class YamlDocument(Document):
    """A block mapping."""

    syntax = "YAML"

    def _read(self) -> tuple[Section, ...]:
        try:
            self._reader = YamlReader(self.text)
            root = self._reader.root
            if not isinstance(root, MappingNode):
                raise YamlProblem("a mapping of settings is expected")
            self._root = root
            return (self._section(root),)
        except YamlProblem as problem:
            where = "" if problem.line is None else f":{problem.line}"
            raise PlanError(f"{self.path}{where}: {problem}") from problem

    def _section(self, root: MappingNode) -> Section:
        self._nodes: dict[str, tuple[Node, Node]] = {}
        entries: dict[str, Entry] = {}
        for key, value in root.value:
            if is_merge(key):
                raise YamlProblem("a merge key (<<) among the settings is not read; write them out", line_of(key))
            # a key that is no text belongs to no trainer; it goes by the letters it is written in
            name = key.value if isinstance(key, ScalarNode) else str(self._reader.data(key))
            if name in entries:
                raise YamlProblem(f"the key {name} is there twice, first in line {entries[name].line}", line_of(key))
            self._nodes[name] = key, value
            entries[name] = Entry(name, line_of(key), key.start_mark.index, self._value(value))
        return Section("", entries, start=root.start_mark.index, end=root.end_mark.index)

    def _value(self, node: Node) -> Value:
        data = self._reader.data(node)
        items: tuple[Value, ...] = ()
        if isinstance(node, SequenceNode):
            marks = [(line_of(item), item.start_mark.index, node_end(self.text, item)) for item in node.value]
            items = tuple(Value(item, *mark) for item, mark in zip(data, marks, strict=True))
        return Value(data, line_of(node), node.start_mark.index, node_end(self.text, node), items)

    def comments(self) -> list[tuple[int, str]]:
        return list(comments(self.text, self._root))

    def spelled(self, section: Section, key: str, data: Any) -> str:
        quote = self._edits().quote(self._nodes[key][1]) if key in self._nodes else None
        return f"{scalar(key)}: {flow(data, quote)}"

    def rewritten(self, section: Section, changes: Mapping[str, Any]) -> str:
        if self._root.flow_style:
            raise PlanError(f"{self.path}: settings between braces are not rewritten")
        if "\r" in self.text.replace("\r\n", ""):
            raise PlanError(f"{self.path}: its lines do not end as those of other files; it is not rewritten")
        edits = self._edits()
        splices: list[Splice] = []
        try:
            for key in [key for key in changes if key in section.entries]:
                data = changes[key]
                if data is None:
                    splices.append(edits.removal(*self._nodes[key]))
                elif data != section.entries[key].data:
                    splices += edits.replacement(*self._nodes[key], data)
        except YamlProblem as problem:
            raise PlanError(f"{self.path}:{problem.line}: {problem}") from problem
        new = {key: data for key, data in changes.items() if key not in section.entries and data is not None}
        if new:
            insertion = self._insertion(section, changes, new)
            behind = insertion[0] == len(self.text)  # and so behind an item that is added in the last line
            splices.insert(len(splices) if behind else 0, insertion)
        return spliced(self.text, splices)

    def _edits(self) -> YamlEdits:
        return YamlEdits(self.text, Lines(self.text), self._reader)

    def _insertion(self, section: Section, changes: Mapping[str, Any], new: Mapping[str, Any]) -> Splice:
        lines = Lines(self.text)
        kept = [key for key in section.entries if changes.get(key, key) is not None]
        changed = [key for key in kept if key in changes]
        keys = changed or kept
        margin = lines.margin(self._nodes[keys[-1]][0].start_mark.index) if keys else ""
        written = [f"{margin}{self.spelled(section, key, data)}" for key, data in new.items()]
        if not keys:
            return section.end, section.end, "".join(f"{line}{lines.newline}" for line in written)
        at = lines.after(value_end(self.text, *self._nodes[keys[-1]]) - 1)
        if not self.text[:at].endswith("\n"):
            return at, at, "".join(f"{lines.newline}{line}" for line in written)
        return at, at, "".join(f"{line}{lines.newline}" for line in written)
