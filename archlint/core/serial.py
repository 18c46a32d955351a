"""Frozen dataclasses to JSON values and back, driven by their type annotations."""

from __future__ import annotations

import dataclasses
import enum
import functools
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, Union

T = TypeVar("T")


def to_json(value: Any) -> Any:
    """``value`` as JSON values; fields that hold their default are left out."""
    if isinstance(value, enum.Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: to_json(content)
            for field in dataclasses.fields(value)
            if (content := getattr(value, field.name)) != default(field)
        }
    if isinstance(value, Mapping):
        return {str(key): to_json(content) for key, content in value.items()}
    if isinstance(value, frozenset):
        return sorted(map(to_json, value))
    if isinstance(value, (tuple, list)):
        return [to_json(item) for item in value]
    return value


def default(field: dataclasses.Field[Any]) -> Any:
    """What a field holds that is not given."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def from_json(kind: type[T], data: Any) -> T:
    """The object of dataclass ``kind`` that :func:`to_json` wrote as ``data``.

    Raises:
        TypeError: a field is missing or has no place in the class, or the data has another shape.
        ValueError: a value is none of those that the field's type allows.
    """
    read: Callable[[Any], T] = _reader(typing.cast(Any, kind))
    return read(data)


def read_as(kind: type[T], data: Any) -> T | None:
    """:func:`from_json`, but ``None`` where ``data`` is nothing, or not what :func:`to_json` writes."""
    try:
        return None if data is None else from_json(kind, data)
    except (TypeError, ValueError, LookupError, AttributeError):
        return None


@functools.cache
def _reader(kind: Any) -> Callable[[Any], Any]:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (Union, types.UnionType):
        return _union_reader(arguments)
    if origin is tuple:
        item = _reader(arguments[0])
        return lambda data: tuple(map(item, _expect(list, data)))
    if origin is frozenset:
        return lambda data: frozenset(_expect(list, data))
    if origin is not None and issubclass(origin, Mapping):
        content = _reader(arguments[1])
        return lambda data: {key: content(value) for key, value in _expect(dict, data).items()}
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return kind
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        readers = {name: _reader(hint) for name, hint in typing.get_type_hints(kind).items()}
        return lambda data: kind(
            **{name: readers.get(name, _as_is)(value) for name, value in _expect(dict, data).items()}
        )
    return _as_is


def _as_is(data: Any) -> Any:
    return data


def _expect(kind: type[T], data: Any) -> T:
    if not isinstance(data, kind):
        raise TypeError(f"a {kind.__name__} belongs here, not {data!r}")
    return data


def _union_reader(arguments: tuple[Any, ...]) -> Callable[[Any], Any]:
    enums = [kind for kind in arguments if isinstance(kind, type) and issubclass(kind, enum.Enum)]
    if len(enums) == 1 and set(arguments) == {enums[0], type(None)}:
        return lambda data: None if data is None else enums[0](data)
    structured = [kind for kind in arguments if typing.get_origin(kind) or dataclasses.is_dataclass(kind)]
    if len(structured) != 1:
        return _as_is
    read = _reader(structured[0])
    return lambda data: read(data) if isinstance(data, (dict, list)) else data
