"""A file of settings: what its keys say, where each stands, and how one is changed without touching the rest."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final


class PlanError(Exception):
    """A plan cannot be read or written; the message says what is wrong, on one line."""


class _Computed:
    """The one value :data:`COMPUTED`."""

    def __repr__(self) -> str:
        return "COMPUTED"


COMPUTED: Final = _Computed()
"""Stands for a value that only running the file would tell: an expression, a shell variable."""

UNREAD: Final = "**"
"""The key of the entry for arguments whose names only running the file would tell."""


def is_countable(number: int) -> bool:
    """Whether a float can hold ``number`` too: nothing in a file of settings counts further, and Python may not even
    print what does."""
    return abs(number) <= sys.float_info.max


@dataclass(frozen=True, slots=True)
class Value:
    """A value in a file: what it is (JSON values, or :data:`COMPUTED`), and where it stands.

    ``start`` and ``end`` are offsets into the text, ``line`` counts from 1. A list has its items besides.
    """

    data: Any
    line: int
    start: int
    end: int
    items: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """A key with its value; ``start`` is the offset of the key, ``line`` its line from 1."""

    key: str
    line: int
    start: int
    value: Value

    @property
    def data(self) -> Any:
        return self.value.data

    def lines_of(self, words: Collection[str]) -> list[int]:
        """The lines of the values, single or in a list, that are one of ``words`` as a text."""
        return [value.line for value in (self.value, *self.value.items) if str(value.data) in words]


@dataclass(frozen=True, slots=True)
class Section:
    """Settings that belong together.

    A YAML or JSON file is one section, which is about nothing. A Python file has one for each call that was
    found, about what is called (``LoraConfig``, ``FastLanguageModel.get_peft_model``); a shell script one for
    each command, about the command (``trl sft``). ``words`` are the values without a key: positional ones.
    """

    about: str
    entries: Mapping[str, Entry] = field(default_factory=dict)
    words: tuple[Value, ...] = ()
    line: int = 1
    start: int = 0
    end: int = 0
    """Offset behind the last character of the section."""


class Document(ABC):
    """A file of settings in one syntax."""

    syntax: ClassVar[str]

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.text = text
        self.sections: tuple[Section, ...] = self._read()

    @abstractmethod
    def _read(self) -> tuple[Section, ...]:
        """The sections of :attr:`text`.

        Raises:
            PlanError: it is not of this syntax, or in a way that archlint does not read.
        """

    def comments(self) -> Sequence[tuple[int, str]]:
        """The comments in :attr:`text`, each with its offset, in their order, as far as the syntax has them told."""
        return ()

    def holds(self, entry: Entry, data: Any) -> bool:
        """Whether ``entry`` says ``data``, in a syntax that may have fewer types."""
        return bool(entry.data == data)

    @abstractmethod
    def spelled(self, section: Section, key: str, data: Any) -> str:
        """How ``key`` with the value ``data`` is written in this file, on one line."""

    @abstractmethod
    def rewritten(self, section: Section, changes: Mapping[str, Any]) -> str:
        """The text with ``changes`` made to the keys of ``section``; ``None`` takes a key out.

        Keys that are not there yet are put behind the last of those that are changed, or at the section's end.
        Everything else stays as it is, to the letter.

        Raises:
            PlanError: a change cannot be made without touching something else.
        """
