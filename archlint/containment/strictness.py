"""Answers of a contained process, taken for what they are: bytes that anybody may have written.

:func:`archlint.core.serial.from_json` reads what archlint wrote itself, and takes text for text. Here every value is of
the type that its field has, of a size that it may have, and fit to be printed.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import json
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, Union

from archlint.core.serial import default, from_json

T = TypeVar("T")
Check = Callable[[Any, Callable[[str], bool]], bool]
"""Whether JSON values stand for a type, given what says whether a file may be named."""

_TEXT = 200_000
"""Letters of one text."""
_INTEGER = 2**63
_VALUES = 8_000_000
"""Of one answer: four times what 60 layers of 256 experts come to."""
_FILE = "file"
"""The name of fields that hold the path of a file, whose lines may be shown."""


class NonsenseError(Exception):
    """What was answered is no answer."""


def decoded(line: bytes) -> Any:
    """The JSON values in a line, with letters that change how others look on a terminal written out.

    Raises:
        NonsenseError: it is none.
    """
    if not line.isascii() or line.count(b",") + line.count(b"[") + line.count(b"{") > _VALUES:
        raise NonsenseError
    try:
        data = json.loads(line)
        return _printable(data) if b"\\" in line else data
    except (ValueError, RecursionError) as error:
        raise NonsenseError from error


def strictly(kind: type[T], data: Any, is_file: Callable[[str], bool] = lambda _: False) -> T:
    """The object of ``kind`` that ``data`` stands for.

    Args:
        kind: a dataclass, or a tuple of some.
        data: of :func:`decoded`.
        is_file: whether a file may be named.

    Raises:
        NonsenseError: it stands for none.
    """
    try:
        if not _check(typing.cast(Any, kind))(data, is_file):
            raise NonsenseError
        return from_json(kind, data)
    except (TypeError, ValueError, LookupError, AttributeError, RecursionError) as error:
        raise NonsenseError from error


def _printable(data: Any) -> Any:
    if isinstance(data, str):
        return data if data.isprintable() else "".join(map(_shown, data))
    if isinstance(data, list):
        return [_printable(item) for item in data]
    if isinstance(data, dict):
        return {_printable(key): _printable(value) for key, value in data.items()}
    return data


def _shown(letter: str) -> str:
    return letter if letter.isprintable() or letter == "\n" else ascii(letter)[1:-1]


@functools.cache
def _check(kind: Any) -> Check:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return lambda data, _: _is_plain(data)
    if origin in (Union, types.UnionType):
        checks = [_check(one) for one in arguments]
        return lambda data, is_file: any(check(data, is_file) for check in checks)
    if origin in (tuple, frozenset):
        item = _check(arguments[0])
        return lambda data, is_file: isinstance(data, list) and all(item(one, is_file) for one in data)
    if origin is not None and issubclass(origin, Mapping):
        value = _check(arguments[1])
        return lambda data, is_file: (
            isinstance(data, dict) and all(_is_text(key) and value(one, is_file) for key, one in data.items())
        )
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        values = {member.value for member in kind}
        return lambda data, _: isinstance(data, str) and data in values
    if dataclasses.is_dataclass(kind):
        return _check_of_fields(kind)
    return _OF_VALUES[kind]


def _check_of_fields(kind: Any) -> Check:
    hints = typing.get_type_hints(kind)
    checks = {field.name: _check(hints[field.name]) for field in dataclasses.fields(kind)}
    needed = {field.name for field in dataclasses.fields(kind) if default(field) is dataclasses.MISSING}

    def check(data: Any, is_file: Callable[[str], bool]) -> bool:
        if not isinstance(data, dict) or not needed <= data.keys() <= checks.keys():
            return False
        file = data.get(_FILE)
        if isinstance(file, str) and not is_file(file):
            return False
        return all(checks[name](value, is_file) for name, value in data.items())

    return check


def _is_text(data: Any) -> bool:
    return isinstance(data, str) and len(data) <= _TEXT


def _is_integer(data: Any) -> bool:
    return isinstance(data, int) and not isinstance(data, bool) and -_INTEGER < data < _INTEGER


def _is_plain(data: Any) -> bool:
    if isinstance(data, list):
        return all(map(_is_plain, data))
    if isinstance(data, dict):
        return all(_is_text(key) and _is_plain(value) for key, value in data.items())
    return data is None or isinstance(data, (bool, float)) or _is_text(data) or _is_integer(data)


_OF_VALUES: Mapping[Any, Check] = {
    str: lambda data, _: _is_text(data),
    int: lambda data, _: _is_integer(data),
    float: lambda data, _: isinstance(data, float) or _is_integer(data),
    bool: lambda data, _: isinstance(data, bool),
    type(None): lambda data, _: data is None,
}
