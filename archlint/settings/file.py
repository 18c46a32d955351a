"""Settings of a project: ``archlint.toml``, or ``[tool.archlint]`` in ``pyproject.toml``."""

from __future__ import annotations

import datetime
import difflib
import fnmatch
import glob
import json
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

from archlint.settings.forms import Form

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

OWN, SHARED = "archlint.toml", "pyproject.toml"
_TABLE = ("tool", "archlint")
_SOURCE = "source"
_MOST_BYTES = 4 * 2**20
_MOST_DOTS = 1000
"""In a line: for a key of so many parts the parser takes the square of that in memory."""
_KEPT = 40
"""Characters of a wrong value that a message shows."""

Value: TypeAlias = "bool | str | tuple[str, ...]"
"""What a key is set to, as a command line would say it."""


class SettingsError(Exception):
    """Settings cannot be used; the message is one line and begins with the file."""


@dataclass(frozen=True, slots=True)
class Key:
    """A setting that there is."""

    form: Form
    of_all: bool = True
    """Whether it may be set for all sources."""
    of_source: bool = True
    """Whether it may be set in the section of a source."""


@dataclass(frozen=True, slots=True)
class Table:
    """What is set for all sources, or in the section of some."""

    values: Mapping[str, Value] = field(default_factory=dict)
    """By key."""
    spelt: Mapping[str, str] = field(default_factory=dict)
    """By key, what sets it: the file, the line where it shows, and all of the key."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Why rules are ignored, by the code that ``ignore`` holds."""


@dataclass(frozen=True, slots=True)
class Settings:
    """A file's settings."""

    path: Path
    common: Table
    sections: Mapping[str, Table] = field(default_factory=dict)
    """By the source, or the pattern of sources, that each is for."""

    def patterns(self, source: str) -> Iterator[str]:
        """Those of the sections for ``source``, each weaker than the next."""
        return (pattern for pattern in self.sections if self._is_meant(source, pattern))

    def from_here(self, path: str) -> str:
        """A path that the file names, from the working directory."""
        return os.path.relpath(self.path.parent / os.path.expanduser(path))  # noqa: PTH111 (which raises nothing)

    def source(self, name: str) -> str:
        """A source that the file names: one that is a path from its folder, from the working directory."""
        path = self.from_here(name)
        return path if _exists(Path(path)) else name

    def _is_meant(self, source: str, pattern: str) -> bool:
        if fnmatch.fnmatchcase(source, pattern):
            return True
        if not _exists(Path(source)):
            return False
        path = Path(os.path.normpath(Path(source).absolute()))
        places = os.path.normpath(glob.escape(str(self.path.parent.absolute())) / Path(pattern))
        return any(fnmatch.fnmatchcase(str(place), places) for place in (path, *path.parents))


def find(folder: Path) -> Path | None:
    """The file of settings that stands nearest, in ``folder`` or above it.

    Raises:
        SettingsError: a file that is nearer, or as near, cannot be read.
    """
    for place in (folder, *folder.parents):
        if _is_there(place / OWN):
            return place / OWN
        if _is_there(place / SHARED) and _own_part(place / SHARED, _parsed(place / SHARED)[1]) is not None:
            return place / SHARED
    return None


def _is_there(path: Path) -> bool:
    """Whether there is such a file: a pipe, from which nothing may ever come, is none."""
    return _exists(path) and not path.is_fifo()


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that no path can have, or a folder that is closed
        return False


def read(path: Path, keys: Mapping[str, Key], others: Collection[str] = ()) -> Settings:
    """The settings in ``path``.

    Args:
        path: a file in TOML. If its name is ``pyproject.toml``, they are in its table ``tool.archlint``.
        keys: the settings that there are.
        others: options of the command line that are none.

    Raises:
        SettingsError: it cannot be read, holds a key that is no setting, or a value of another form.
    """
    text, document = _parsed(path)
    table = _own_part(path, document)
    if table is None:
        raise SettingsError(f"{path}: has no [{'.'.join(_TABLE)}]")
    return _Reader(path, text, keys, others).settings(table)


def _parsed(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise SettingsError(f"{path}: larger than {_MOST_BYTES // 2**20} MiB: no file of settings")
        text = data.decode("utf-8-sig")
        if any(line.count(".") > _MOST_DOTS for line in text.split("\n")):
            raise SettingsError(f"{path}: has a line with more than {_MOST_DOTS} dots: no file of settings")
        return text, tomllib.loads(text)
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{path}: is no TOML: {error}") from error


def _own_part(path: Path, document: Mapping[str, Any]) -> Any:
    if path.name != SHARED:
        return document
    tools = document.get(_TABLE[0])
    return tools.get(_TABLE[1]) if isinstance(tools, dict) else None


@dataclass(frozen=True)
class _Reader:
    path: Path
    text: str
    keys: Mapping[str, Key]
    others: Collection[str]

    @property
    def _root(self) -> tuple[str, ...]:
        return _TABLE if self.path.name == SHARED else ()

    def settings(self, given: Any) -> Settings:
        place = self._root
        if not isinstance(given, dict):
            raise self._error(place, f"is a table, not {_shown(given)}")
        sections = given.get(_SOURCE, {})
        if not isinstance(sections, dict):
            raise self._error((*place, _SOURCE), f'holds a table for each source ([{".".join((*place, _SOURCE))}."…"])')
        common = {key: value for key, value in given.items() if key != _SOURCE}
        return Settings(
            self.path,
            self._table(common, place, {name: key for name, key in self.keys.items() if key.of_all}),
            {pattern: self._section(pattern, section) for pattern, section in sections.items()},
        )

    def _section(self, pattern: str, given: Any) -> Table:
        place = (*self._root, _SOURCE, pattern)
        if not isinstance(given, dict):
            raise self._error(place, f"is a table, not {_shown(given)}")
        return self._table(given, place, {name: key for name, key in self.keys.items() if key.of_source})

    def _table(self, given: Mapping[str, Any], place: Sequence[str], keys: Mapping[str, Key]) -> Table:
        values: dict[str, Value] = {}
        reasons: dict[str, str] = {}
        for name, value in given.items():
            if name not in keys:
                raise self._error((*place, name), self._unknown(name))
            try:
                if keys[name].form is Form.CODES:
                    values[name], reasons = _codes(value)
                else:
                    values[name] = _FORMS[keys[name].form](value)
            except _FormError as error:
                said = str(error) or f"{keys[name].form.value}, not {_shown(value)}"
                raise self._error((*place, name), f"is {said}") from error
        return Table(values, {name: self._spelt((*place, name)) for name in values}, reasons)

    def _unknown(self, name: str) -> str:
        if name in self.keys and self.keys[name].of_all:
            return "holds for all sources, and stands outside of their sections"
        if name in self.keys:
            return "is set for single sources, in a section of theirs"
        if name in self.others:
            return "is an option of the command line alone"
        if (*self._root, name) == _TABLE[:1]:
            return "is no setting; what pyproject.toml has in [tool.archlint] stands by itself here"
        near = difflib.get_close_matches(name.lower().replace("_", "-"), [*self.keys, _SOURCE], 1)
        return f"is no setting{f'; did you mean {near[0]}?' if near else ''}"

    def _error(self, place: Sequence[str], what: str) -> SettingsError:
        return SettingsError(f"{self._spelt(place)} {what}")

    def _spelt(self, place: Sequence[str]) -> str:
        parts = (tuple(place[:length]) for length in range(len(place), 0, -1))
        line = next((self._lines[part] for part in parts if part in self._lines), None)
        return f"{self.path}{f':{line}' if line else ''}: {'.'.join(map(_spelt, place)) or 'the file'}"

    @cached_property
    def _lines(self) -> Mapping[tuple[str, ...], int]:
        return _lines(self.text)


class _FormError(Exception):
    """A value has another form than its key takes; a message says more than the form's name does."""


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _FormError
    return value


def _word(value: Any) -> str:
    if not isinstance(value, str):
        raise _FormError
    if "\0" in value:  # which no path can hold, nor any argument
        raise _FormError("a string without null characters")
    return value


def _words(value: Any) -> tuple[str, ...]:
    return tuple(map(_word, value if isinstance(value, list) else [value]))


def _codes(value: Any) -> tuple[tuple[str, ...], dict[str, str]]:
    """Codes, and the reasons of those that have one."""
    codes: list[str] = []
    reasons: dict[str, str] = {}
    for entry in value if isinstance(value, list) else [value]:
        if isinstance(entry, dict):
            if unknown := next((name for name in entry if name not in ("code", "reason")), None):
                raise _FormError(f"{Form.CODES.value}: {_spelt(unknown)} is none of its keys")
            code = _word(entry.get("code"))
            if "reason" in entry:
                reasons[code] = _word(entry["reason"])
        else:
            code = _word(entry)
        codes.append(code)
    return tuple(codes), reasons


def _arguments(value: Any) -> tuple[str, ...]:
    if not isinstance(value, dict):
        raise _FormError
    return tuple(f"{name}={_argument(given)}" for name, given in value.items())


def _argument(value: Any) -> str:
    if isinstance(value, str):
        return _word(value)
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return ",".join(map(_word, value))
    if isinstance(value, (datetime.date, datetime.time)):
        raise _FormError(f"{Form.ARGUMENTS.value}, and none takes {_shown(value)}")
    try:
        return json.dumps(value, default=str)
    except ValueError:
        raise _FormError(f"{Form.ARGUMENTS.value}, and none takes {_shown(value)}") from None


_FORMS: Mapping[Form, Callable[[Any], Value]] = {
    Form.FLAG: _flag,
    Form.WORD: _word,
    Form.WORDS: _words,
    Form.ARGUMENTS: _arguments,
}


def _shown(value: Any) -> str:
    try:
        text = json.dumps(value, default=str, ensure_ascii=False)
    except ValueError:  # TOML has hexadecimal numbers of any length, and Python no more than some thousand digits
        return "a number of thousands of digits"
    return text if len(text) <= _KEPT else f"{text[:_KEPT]}…"


def _spelt(key: str) -> str:
    """``key`` as TOML has it."""
    bare = key.isascii() and key.replace("-", "_").isidentifier()
    return key if bare else json.dumps(key, ensure_ascii=False)


def _lines(text: str) -> Mapping[tuple[str, ...], int]:
    """The line, from 1, that sets each key, or something in it, as far as that shows in a line by itself."""
    table: tuple[str, ...] = ()
    lines: dict[tuple[str, ...], int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("["):
            found = table = _keys(line) or table
        else:
            found = (*table, *_keys(f"{line.partition('=')[0]}= 0"))
        for length in range(len(found), 0, -1):
            lines.setdefault(found[:length], number)
    return lines


def _keys(line: str) -> tuple[str, ...]:
    """The keys that one line of TOML names, the outer ones first; none where it is no such line."""
    try:
        found = tomllib.loads(line)
    except (ValueError, RecursionError):
        return ()
    keys: list[str] = []
    while isinstance(found, (dict, list)) and found:
        if isinstance(found, dict):
            key, found = next(iter(found.items()))
            keys.append(key)
        else:
            found = found[0]
    return tuple(keys)
