"""Changes to single values of a YAML text, in the style in which it is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ruamel.yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

from archlint.plans.documents.items import Span, Succession, relined, relisted, successors
from archlint.plans.documents.splicing import Lines, Splice
from archlint.plans.documents.yaml_nodes import (
    YamlProblem,
    YamlReader,
    comments,
    heading_comment,
    is_block,
    is_merge,
    line_of,
    node_end,
    parts,
    value_end,
)
from archlint.plans.yaml_scalars import scalar


class YamlEdits:
    """What has to be changed in a text so that a key says something else."""

    def __init__(self, text: str, lines: Lines, reader: YamlReader) -> None:
        self._text = text
        self._lines = lines
        self._reader = reader

    def removal(self, key: Node, value: Node) -> Splice:
        """The change that takes a key out, with its lines.

        Raises:
            YamlProblem: something else would go with it; so does :meth:`replacement`.
        """
        self._check_alone(key)
        self._check_unshared(key, key, value)
        return self._lines.start(key.start_mark.index), self._lines.after(value_end(self._text, key, value) - 1), ""

    def replacement(self, key: Node, value: Node, data: Any) -> list[Splice]:
        """The changes that make a key say ``data``: where single items come and go, the others stay as they are."""
        self._check_alone(key)
        if value.anchor or value.start_mark.index < key.start_mark.index:
            raise YamlProblem(f"the value of {key.value} is shared by an anchor", line_of(key))
        if isinstance(value, SequenceNode) and isinstance(data, list) and data and value.value:
            splices = self._list(key, value, data)
        elif isinstance(value, MappingNode) and isinstance(data, Mapping) and data and value.value:
            splices = self._mapping(key, value, data)
        else:
            splices = None
        return self._anew(key, value, data) if splices is None else splices

    def _list(self, key: Node, value: SequenceNode, data: Sequence[Any]) -> list[Splice] | None:
        spans = self._spans(key, value)
        if spans is None:
            return None
        quote = self.quote(value)
        numbers = successors([self._reader.data(item) for item in value.value], data)
        self._check_unshared(key, *(item for number, item in enumerate(value.value) if number not in {*numbers}))
        new: Succession = [
            (number, flow(item, quote) if number is None else self._text[slice(*spans[number])])
            for number, item in zip(numbers, data, strict=True)
        ]
        if value.flow_style:
            return self._between_brackets(key, value, spans, new)
        starts = [item.start_mark.index for item in value.value]
        dashes = [self._text[start:at] for (start, _), at in zip(spans, starts, strict=True)]
        dash = next((dash for dash in dashes if dash != "-" and not dash.strip(" \t-")), "- ")
        return relined(self._lines, spans, self._colon(key), self._lines.margin(spans[0][0]) + dash, new)

    def _mapping(self, key: Node, value: MappingNode, data: Mapping[str, Any]) -> list[Splice] | None:
        spans = self._spans(key, value)
        if spans is None or any(is_merge(own) for own, _ in value.value):
            return None
        names = [str(self._reader.data(own)) for own, _ in value.value]
        new: list[tuple[int | None, str]] = []
        splices: list[Splice] = []
        for number, (name, (own, its)) in enumerate(zip(names, value.value, strict=True)):
            if name not in data:
                self._check_unshared(key, own, its)
                continue
            text = self._text[slice(*spans[number])]
            if repr(self._reader.data(its)) != repr(data[name]):
                self._check_unshared(key, its)
                if value.flow_style:
                    text = f"{self._text[own.start_mark.index : own.end_mark.index]}: {flow(data[name])}"
                else:
                    splices += self.replacement(own, its, data[name])
            new.append((number, text))
        new += [(None, f"{scalar(name)}: {flow(data[name])}") for name in data if name not in names]
        if value.flow_style:
            return self._between_brackets(key, value, spans, new)
        return [*relined(self._lines, spans, self._colon(key), self._lines.margin(spans[0][0]), new), *splices]

    def _between_brackets(
        self, key: Node, value: CollectionNode, spans: Sequence[Span], new: Succession
    ) -> list[Splice] | None:
        end = value.end_mark.index - 1
        start = self._text.rindex("[" if isinstance(value, SequenceNode) else "{", value.start_mark.index, spans[0][0])
        margin = self._lines.margin(key.start_mark.index) + "  "
        inside = [(first - start - 1, last - start - 1) for first, last in spans]
        text = relisted(self._text[start + 1 : end], inside, self._lines.newline, margin, new)
        return None if text is None else [(start + 1, end, text)]

    def _anew(self, key: Node, value: Node, data: Any) -> list[Splice]:
        """The value written anew; comments that are about no part of it alone stay."""
        self._check_unshared(key, value)
        colon, start, end = self._colon(key), value.start_mark.index, value_end(self._text, key, value)
        written = flow(data, self.quote(value))
        if end <= colon:
            return [(colon, colon, f" {written}")]
        if isinstance(value, CollectionNode) and is_block(value):
            spans = self._spans(key, value)
            if spans is None:
                raise YamlProblem(f"{key.value} is written in a way that is not rewritten", line_of(key))
            return [(colon, colon, f" {written}"), *relined(self._lines, spans, colon, "", [])]
        heading = heading_comment(self._text, value)
        above = self._lines.start(start)
        margin = self._lines.margin(start)
        kept = "".join(f"{margin}{text}{self._lines.newline}" for text in self._free_comments(value, end))
        return [(above, above, kept), (start, end, written + (heading["whole"].rstrip() if heading else ""))]

    def _free_comments(self, value: Node, end: int) -> list[str]:
        """The comments between brackets that stand on a line without an item."""
        if not isinstance(value, CollectionNode):
            return []
        start = value.start_mark.index
        inside = [(at, text) for at, text in comments(self._text, value) if start <= at < end]
        return [text for at, text in inside if not self._text[max(start, self._lines.start(at)) : at].strip(" \t,[{")]

    def _spans(self, key: Node, value: CollectionNode) -> list[Span] | None:
        """Where the items stand, a block's with their dashes; ``None`` where they are not told apart by it."""
        spans: list[Span] = []
        at = value.start_mark.index if value.flow_style else self._colon(key)
        limit = value.end_mark.index
        for part in value.value:
            node = part if isinstance(part, Node) else part[0]
            start = node.start_mark.index
            end = node_end(self._text, part) if isinstance(part, Node) else value_end(self._text, *part)
            if not at <= start <= end <= limit:
                return None  # an alias stands there for something elsewhere
            if not value.flow_style:
                start = self._dash(at, start) if isinstance(value, SequenceNode) else start
                if self._text[self._lines.start(start) : start].strip(" \t"):
                    return None
            spans.append((start, end))
            at = end
        return spans

    def _dash(self, at: int, start: int) -> int:
        """The dash before an item: the last one behind the item before it that is in no comment."""
        while True:
            dash = self._text.rindex("-", at, start)
            line = self._text[max(at, self._lines.start(dash)) : dash]
            if "#" not in line:
                return dash
            start = dash

    def _colon(self, key: Node) -> int:
        """Where the key's colon ends."""
        return self._text.index(":", key.end_mark.index) + 1

    def _check_alone(self, key: Node) -> None:
        at = key.start_mark.index
        if self._text[self._lines.start(at) : at].strip(" \t"):
            raise YamlProblem(f"{key.value} does not begin its line, and is not rewritten", line_of(key))

    def _check_unshared(self, key: Node, *gone: Node) -> None:
        """Raise if an anchor is in what goes: aliases elsewhere may stand for it."""
        waiting = list(gone)
        while waiting:
            node = waiting.pop()
            if node.start_mark.index < key.start_mark.index:
                continue  # an alias itself
            if node.anchor:
                raise YamlProblem(f"a part of {key.value} is shared by an anchor", line_of(node))
            waiting += parts(node)

    def quote(self, value: Node) -> str | None:
        """The quotes that the texts of a value stand in."""
        nodes = value.value if isinstance(value, SequenceNode) else [value]
        styles = {node.style for node in nodes if isinstance(node, ScalarNode)}
        style = styles.pop() if len(styles) == 1 else None
        return style if style in ("'", '"') else None


def flow(data: Any, quote: str | None = None) -> str:
    """``data`` on one line, collections between brackets, texts in ``quote`` where these fit."""
    if isinstance(data, Mapping):
        return "{" + ", ".join(f"{scalar(key)}: {flow(value, quote)}" for key, value in data.items()) + "}"
    if isinstance(data, Sequence) and not isinstance(data, str):
        return "[" + ", ".join(flow(item, quote) for item in data) + "]"
    return scalar(data, quote)
