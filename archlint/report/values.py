"""Values of a JSON document that somebody else wrote: each is what is expected, or an error that says where."""

from __future__ import annotations

import enum
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")
E = TypeVar("E", bound=enum.Enum)

_LONGEST = 60


class DocumentError(Exception):
    """A text is not the document that is expected; the message says where and why."""


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)


@dataclass(frozen=True, slots=True)
class Value:
    """A value and the way to it: ``reports[0].findings[2].code``.

    Every method raises :class:`DocumentError` where it is of another sort.
    """

    content: Any
    place: str = ""

    @classmethod
    def loaded(cls, text: str, place: str = "") -> Value:
        """What ``text`` is in JSON; numbers that JSON has no words for, or that are too large for any, are none."""
        try:
            return cls(json.loads(text, parse_constant=_no_number, parse_float=_finite), place)
        except (ValueError, RecursionError) as error:
            raise DocumentError(f"{place} is no JSON: {error}".strip()) from error

    def __getitem__(self, name: str) -> Value:
        """The field of that name."""
        if name not in self.mapping():
            raise DocumentError(f"{self.named} has no {name}")
        return self._below(name)

    def get(self, name: str, read: Callable[[Value], T], default: T) -> T:
        """What ``read`` makes of the field of that name; ``default`` where there is none."""
        return read(self._below(name)) if name in self.mapping() else default

    def rows(self, name: str, read: Callable[[Value], T]) -> tuple[T, ...]:
        """What ``read`` makes of each item of the list of that name; nothing where there is none."""
        return self._below(name).each(read) if name in self.mapping() else ()

    def maybe(self, read: Callable[[Value], T]) -> T | None:
        """What ``read`` makes of it; ``None`` where it is null."""
        return None if self.content is None else read(self)

    def mapping(self) -> Mapping[str, Any]:
        return self.content if isinstance(self.content, dict) else self._refuse("an object")

    def fields(self) -> Iterator[tuple[str, Value]]:
        return ((name, self._below(name)) for name in self.mapping())

    def items(self) -> Iterator[Value]:
        if not isinstance(self.content, list):
            self._refuse("a list")
        return (Value(item, f"{self.place}[{number}]") for number, item in enumerate(self.content))

    def each(self, read: Callable[[Value], T]) -> tuple[T, ...]:
        return tuple(map(read, self.items()))

    def text(self) -> str:
        return self.content if isinstance(self.content, str) else self._refuse("a text")

    def texts(self) -> tuple[str, ...]:
        return tuple(item.text() for item in self.items())

    def flag(self) -> bool:
        return self.content if isinstance(self.content, bool) else self._refuse("true or false")

    def integer(self) -> int:
        """One of 0 or more, that fits in 64 bits."""
        if isinstance(self.content, bool) or not isinstance(self.content, int) or not 0 <= self.content < 2**63:
            self._refuse("an integer of 0 or more")
        return self.content

    def number(self) -> float:
        """One that a float can be."""
        if isinstance(self.content, bool) or not isinstance(self.content, (int, float)):
            self._refuse("a number")
        if abs(self.content) > sys.float_info.max:
            self._refuse("a number")
        return self.content

    def share(self) -> float:
        """A number from 0 to 1."""
        number = self.number()
        return number if 0 <= number <= 1 else self._refuse("a number from 0 to 1")

    def word(self, words: type[E]) -> E:
        """One of ``words``."""
        known = {word.value: word for word in words}
        text = self.text()
        return known[text] if text in known else self._refuse(f"one of {', '.join(known)}")

    def _below(self, name: str) -> Value:
        return Value(self.content[name], f"{self.place}.{name}" if self.place else name)

    def _refuse(self, expected: str) -> NoReturn:
        shown = json.dumps(self.content)
        shown = shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"
        raise DocumentError(f"{self.named}: {expected} is expected, not {shown}")

    @property
    def named(self) -> str:
        """Where it is, in words."""
        return self.place or "the document"
