"""What a change of a schema takes away from those who read its documents.

A reader relies on all that the old schema says: that each document of the new one is still one of the old one, and that
each property is still there. So more properties, more that are required, fewer types and tighter bounds are fine; the
reverse is not. More words in an ``enum`` are fine only where the old schema says that words may be added.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

OPEN = "open: words may be added"
"""The ``$comment`` of an ``enum`` that readers have to expect new words in."""
_ANNOTATIONS = {"$schema", "$id", "$comment", "$defs", "title", "description"}
_LOWER, _UPPER = ("minimum", "minLength", "minItems"), ("maximum", "maxLength", "maxItems")
_CHECKED = {
    *_LOWER,
    *_UPPER,
    "type",
    "enum",
    "const",
    "required",
    "properties",
    "additionalProperties",
    "items",
    "pattern",
}
_TYPES = {
    dict: "object",
    list: "array",
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
}


def breaks(old: Schema, new: Schema) -> list[str]:
    """What ``new`` takes away, a line each: a place, and what is wrong there.

    Raises:
        ValueError: a schema has a keyword that is not understood here, or refers to itself.
    """
    return list(_compared(_Part(old, old), _Part(new, new), "$"))


class _Part:
    """A part of a schema, with references and ``allOf`` put in, and the alternatives of ``anyOf`` apart."""

    def __init__(self, schema: Schema, whole: Schema) -> None:
        self.whole = whole
        self.keywords = self._merged(schema, ())
        if unknown := self.keywords.keys() - _CHECKED - _ANNOTATIONS - {"anyOf"}:
            raise ValueError(f"keywords that are not compared: {', '.join(sorted(unknown))}")

    def _merged(self, schema: Schema, within: tuple[str, ...]) -> dict[str, Any]:
        made = {name: value for name, value in schema.items() if name not in ("$ref", "allOf")}
        parts = list(schema.get("allOf", ()))
        if (reference := schema.get("$ref")) is not None:
            if reference in within:
                raise ValueError(f"{reference} refers to itself")
            within = (*within, reference)
            parts.append(self.whole["$defs"][reference.removeprefix("#/$defs/")])
        for part in (self._merged(part, within) for part in parts):
            for name, value in part.items():
                if name == "properties":
                    made[name] = {**value, **made.get(name, {})}
                elif name == "required":
                    made[name] = [*made.get(name, ()), *value]
                else:
                    made.setdefault(name, value)
        return made

    def __contains__(self, name: str) -> bool:
        return name in self.keywords

    def __getitem__(self, name: str) -> Any:
        return self.keywords[name]

    def at(self, *path: str) -> _Part:
        schema = self.keywords
        for name in path:
            schema = schema[name]
        return _Part(schema, self.whole)

    @property
    def alternatives(self) -> list[_Part]:
        return [_Part(part, self.whole) for part in self.keywords.get("anyOf", ())] or [self]

    @property
    def words(self) -> list[Any] | None:
        """The values there can be, where they are listed."""
        return [self["const"]] if "const" in self else self.keywords.get("enum")

    @property
    def types(self) -> Collection[str]:
        """The JSON types there can be; none where any can."""
        if "type" in self:
            return [self["type"]] if isinstance(self["type"], str) else list(self["type"])
        return {_TYPES[type(word)] for word in self.words or ()}

    @property
    def is_open(self) -> bool:
        return self.keywords.get("$comment") == OPEN


def _compared(old: _Part, new: _Part, at: str) -> Iterator[str]:
    before, now = old.alternatives, new.alternatives
    if len(before) == len(now) == 1:
        yield from _narrowed(before[0], now[0], at)
        return
    for part in now:
        alike = [other for other in before if set(other.types) & set(part.types)]
        if (found := _nearest([list(_compared(other, part, at)) for other in alike or before])) is not None:
            yield from found
    for part in before:
        if "properties" in part and not any("properties" in other for other in now):
            yield f"{at}: is no object any more"


def _nearest(results: list[list[str]]) -> list[str] | None:
    """The shortest list of complaints, and ``None`` where one is empty."""
    return min(results, key=len) or None


def _narrowed(old: _Part, new: _Part, at: str) -> Iterator[str]:
    yield from (wider := list(_types(old, new, at)))
    if wider and not set(new.types) & set(old.types):
        return
    yield from _words(old, new, at)
    yield from _bounds(old, new, at)
    if missing := set(old.keywords.get("required", ())) - set(new.keywords.get("required", ())):
        yield from (f"{at}.{name}: may be missing" for name in sorted(missing))
    for name in old.keywords.get("properties", {}):
        if name in new.keywords.get("properties", {}):
            yield from _compared(old.at("properties", name), new.at("properties", name), f"{at}.{name}")
        else:
            yield f"{at}.{name}: is gone"
    for name, place in (("items", "[]"), ("additionalProperties", ".*")):
        if name not in old:
            continue
        if not isinstance(old[name], Mapping):
            if new.keywords.get(name) != old[name]:
                yield f"{at}{place}: may be anything"
        elif isinstance(new.keywords.get(name), Mapping):
            yield from _compared(old.at(name), new.at(name), f"{at}{place}")
        else:
            yield f"{at}{place}: may be anything"


def _types(old: _Part, new: _Part, at: str) -> Iterator[str]:
    allowed = {*old.types, *(["integer"] if "number" in old.types else [])}
    if allowed and not new.types:
        yield f"{at}: may be of any type"
    elif allowed and (more := set(new.types) - allowed):
        yield f"{at}: may be {' or '.join(sorted(more))}"


def _words(old: _Part, new: _Part, at: str) -> Iterator[str]:
    if old.words is None:
        return
    if new.words is None:
        yield f"{at}: may be any word"
    elif (more := [word for word in new.words if word not in old.words]) and not old.is_open:
        yield f"{at}: may be {' or '.join(map(repr, more))}"
    if new.is_open and not old.is_open:
        yield f"{at}: words may be added"


def _bounds(old: _Part, new: _Part, at: str) -> Iterator[str]:
    if "pattern" in old and new.keywords.get("pattern") != old["pattern"]:
        yield f"{at}: has another pattern"
    for name in (*_LOWER, *_UPPER):
        if name not in old:
            continue
        if name not in new or (new[name] < old[name] if name in _LOWER else new[name] > old[name]):
            yield f"{at}: has a wider {name}"
