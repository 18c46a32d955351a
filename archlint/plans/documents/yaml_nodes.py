"""What YAML says: the nodes of a text, and their values as the safe loaders of trainers make them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

from archlint.plans.document import COMPUTED, is_countable

_MOST_NODES = 100_000
"""Aliases may stand for each other: a text that comes to more than this is not read."""
_SHOWN = 60
_LETTERS = frozenset("yYnN")
_FLOAT = re.compile(r"[-+]?[\d.]+([eE][-+]?\d+)?")
_PREFIX = "tag:yaml.org,2002:"
_TEXTS = {"str", "timestamp"}
_SCALARS = {"int", "float", "bool", "null"}
_COLLECTIONS: dict[str, type[CollectionNode]] = {
    **dict.fromkeys(("map", "set"), MappingNode),
    **dict.fromkeys(("seq", "omap", "pairs"), SequenceNode),
}
_COMMENT = re.compile(r"(?:(?<=[\s,\[\]{}])|^)#[^\r\n\x85\u2028\u2029]*")

_HEADING = re.compile(r"[^\r\n]*?[|>][-+\d]*(?P<whole>[ \t]+(?P<comment>#[^\r\n]*))")

_COLON = re.compile(r"[ \t]*:")
_ALIAS = re.compile(r"\s*:\s*\*[^\s,\[\]{}]+")


class YamlProblem(Exception):
    """What is wrong with a text, and the line where it is known."""

    def __init__(self, text: str, line: int | None = None) -> None:
        super().__init__(text)
        self.line = line


class YamlReader:
    """Reads a text by YAML 1.1, in which ``yes`` is true: the version that trainers read."""

    def __init__(self, text: str) -> None:
        reader = YAML(typ="safe", pure=True)
        reader.version = (1, 1)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of an anchor that is set again, as a file may
                self.root: Node | None = reader.compose(text)
            self._construct = reader.constructor.construct_object
        except YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
            raise YamlProblem(f"not YAML: {problem}", None if mark is None else mark.line + 1) from error
        except RecursionError as error:
            raise YamlProblem("not YAML: it is nested too deeply") from error
        except ValueError as error:
            raise YamlProblem(f"not YAML: {' '.join(str(error).split())}") from error
        if self.root is not None:
            _check_size(self.root, {})

    def data(self, node: Node) -> Any:
        """What a node says; :data:`COMPUTED` for bytes.

        Raises:
            YamlProblem: no safe loader would take it.
        """
        kind = str(node.tag).removeprefix(_PREFIX)
        if isinstance(node, _COLLECTIONS.get(kind, ())):
            return self._mapping(node) if isinstance(node, MappingNode) else [self.data(item) for item in node.value]
        if not isinstance(node, ScalarNode) or kind not in {*_TEXTS, *_SCALARS, "binary"}:
            raise YamlProblem(f"the tag {node.tag} is not read here", line_of(node))
        if kind not in _SCALARS:
            return node.value if kind in _TEXTS else COMPUTED
        try:
            if kind == "bool" and node.value in _LETTERS:
                return node.value  # PyYAML, which trainers read with, knows words only
            if kind == "float" and _FLOAT.fullmatch(node.value):
                return float(node.value)  # trainers mean a number by 1e-4, for which YAML 1.1 wants a dot
            found = self._construct(node)
            if isinstance(found, int) and not is_countable(found):
                raise ValueError(f"{kind} of {len(node.value)} digits")
            return found
        except (ValueError, YAMLError) as error:
            raise YamlProblem(f"{node.value[:_SHOWN]!r} is no {kind}", line_of(node)) from error

    def _mapping(self, node: MappingNode) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for key, value in node.value:
            if not is_merge(key):
                own[str(self.data(key))] = self.data(value)
                continue
            for source in value.value if isinstance(value, SequenceNode) else [value]:
                if not isinstance(source, MappingNode):
                    raise YamlProblem("a merge key (<<) takes mappings only", line_of(key))
                merged = {**self._mapping(source), **merged}
        return {**merged, **own}


def line_of(node: Node) -> int:
    """The line that a node begins on, from 1."""
    return int(node.start_mark.line) + 1


def is_merge(key: Node) -> bool:
    """Whether a key is ``<<``, which takes another mapping's entries in."""
    return str(key.tag) == f"{_PREFIX}merge"


def comments(text: str, root: Node) -> Iterator[tuple[int, str]]:
    """The comments of a text, each with its offset: they stand between the scalars, or head a block of text."""
    scalars: dict[int, ScalarNode] = {}
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, ScalarNode) and node.start_mark.index < node.end_mark.index:
            scalars[node.start_mark.index] = node
        waiting += parts(node)
    at = 0
    for start in (*sorted(scalars), len(text)):
        for found in _COMMENT.finditer(text, at, start):
            yield found.start(), found[0].rstrip()
        if start in scalars:
            at = scalars[start].end_mark.index
            heading = heading_comment(text, scalars[start])
            if heading is not None:
                yield heading.start("comment"), heading["comment"].rstrip()


def heading_comment(text: str, node: Node) -> re.Match[str] | None:
    """The comment on the line that begins a block of text, with the blanks before it."""
    if not isinstance(node, ScalarNode) or node.style not in ("|", ">"):
        return None
    return _HEADING.match(text, node.start_mark.index, node.end_mark.index)


def parts(node: Node) -> list[Node]:
    """The nodes that a node is made of, keys and values alike."""
    if isinstance(node, MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, SequenceNode) else []


def is_block(node: Node) -> bool:
    """Whether a node is a collection with its parts on lines of their own."""
    return isinstance(node, CollectionNode) and not node.flow_style and bool(node.value)


def value_end(text: str, key: Node, value: Node) -> int:
    """The offset behind the last character of a value, or of its key where it has none."""
    if value.start_mark.index < key.start_mark.index:  # it stands elsewhere, and here is an alias
        alias = _ALIAS.match(text, key.end_mark.index)
        return int(key.end_mark.index) if alias is None else alias.end()
    if isinstance(value, ScalarNode) and value.start_mark.index == value.end_mark.index:
        colon = _COLON.match(text, key.end_mark.index)
        return int(key.end_mark.index) if colon is None else colon.end()
    return node_end(text, value)


def node_end(text: str, node: Node) -> int:
    """The offset behind the last character of a node."""
    if is_block(node):
        last = node.value[-1]
        return node_end(text, last) if isinstance(last, Node) else value_end(text, *last)
    start, end = int(node.start_mark.index), int(node.end_mark.index)
    if isinstance(node, ScalarNode) and node.style in ("|", ">"):
        heading = re.compile(r"[^\r\n#]*").match(text, start)
        if heading is not None and "+" in heading[0]:
            return end  # it says its last line breaks
    return start + len(text[start:end].rstrip(" \t\r\n"))


def _check_size(root: Node, sizes: dict[int, int]) -> int:
    """How many nodes there are with each alias written out.

    Raises:
        YamlProblem: too many, or one that holds itself.
    """
    if id(root) in sizes:
        if sizes[id(root)] < 0:
            raise YamlProblem("an alias stands inside what it stands for")
        return sizes[id(root)]
    sizes[id(root)] = -1
    size = 1 + sum(_check_size(part, sizes) for part in parts(root))
    if size > _MOST_NODES:
        raise YamlProblem(f"its aliases come to more than {_MOST_NODES} values")
    sizes[id(root)] = size
    return size
