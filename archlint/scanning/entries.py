"""What is to be scanned: lists of sources in every form, read as they are needed, in an order that stays the same.

A line that says nothing that could be a source is an entry too, with the reason: it is reported, and costs no other.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from archlint.scanning import trees
from archlint.sources.model_types import model_types

STANDARD_INPUT = "-"
_LONGEST_NAME = 4096
_LONGEST_LINE = 16 * 2**20
"""Bytes: a config with all its layers written out has a hundredth of that."""
_LISTS = (".txt", ".jsonl")
"""Suffixes that no source has."""
_NAMES = ("source", "id", "modelId")
_TEXTS = ("revision", "subfolder")
_OF_THE_HUB = ("tags", "likes", "downloads", "siblings", "private")
"""Keys of what the hub lists: the ``config`` beside them is an excerpt, from which no model can be built."""
_COMMENT = re.compile(r"(^|\s+)#.*", re.DOTALL)
_SHOWN = 60


@dataclass(frozen=True)
class Entry:
    """One thing that a list names."""

    source: str
    revision: str | None = None
    subfolder: str | None = None
    config: Mapping[str, Any] | None = None
    """The whole content of config.json, where the list has it."""
    on_hub: bool = False
    """Whether it is a repository of the hub, whatever else has that name."""
    problem: str = ""
    """Why nothing can be scanned under it."""

    @cached_property
    def id(self) -> bytes:
        """What tells it from every other: 16 bytes, the same each time it is read."""
        said = [self.source, self.revision, self.subfolder, self.config]
        text = json.dumps(said, sort_keys=True)  # in ASCII: names of files need be no text
        return hashlib.blake2b(text.encode(), digest_size=16).digest()

    def is_in(self, shard: Shard) -> bool:
        """Whether it belongs to a part of the list."""
        return int.from_bytes(self.id[:8], "big") % shard.of == shard.number - 1


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several parts of a list, from 1. They are disjoint, and what a list has is in one of them.

    The same source is in the same part whatever else the list has.
    """

    number: int = 1
    of: int = 1


def every_type() -> Iterator[Entry]:
    """The model types of the installed transformers."""
    return (Entry(f"type:{name}") for name in sorted(model_types()))


def named(argument: str, standard_input: IO[bytes]) -> Iterator[Entry]:
    """What an argument names: a list, a folder tree, the standard input, or one source."""
    if argument == STANDARD_INPUT:
        return listed(standard_input, "standard input")
    path = Path(argument).expanduser()
    try:
        if path.is_dir():
            return _below(argument, path)
        if path.is_fifo() or (path.is_file() and path.suffix.lower() != ".json"):
            return from_file(path)
    except (OSError, ValueError):  # a name that no path can have
        pass
    if path.suffix.lower() in _LISTS:
        return iter([Entry(argument, problem="there is no such list")])
    return iter([_plain(argument, argument)])


def can_be_read_again(arguments: Sequence[str], hub_lists: Sequence[Path]) -> bool:
    """Whether none of these is a pipe."""
    try:
        is_pipe = any(path.is_fifo() for path in (*map(Path, arguments), *hub_lists))
    except (OSError, ValueError):  # a name that no path can have
        return False
    return not is_pipe and STANDARD_INPUT not in arguments


def from_file(path: Path, *, on_hub: bool = False) -> Iterator[Entry]:
    """The entries of a list: a source a line, or JSON."""
    try:
        with path.open("rb") as lines:
            yield from listed(lines, str(path), on_hub=on_hub)
    except OSError as error:
        yield Entry(str(path), problem=f"the list cannot be read: {error.strerror or error}")


def listed(lines: IO[bytes], name: str, *, on_hub: bool = False) -> Iterator[Entry]:
    """The entries in the lines of a list.

    A line is a name, and what begins with ``#`` behind white space is none of it; or JSON, where it begins with ``{``
    or ``"``.

    Args:
        lines: to be read from, line by line.
        name: of the list.
        on_hub: whether it names repositories of the hub.
    """
    for number, line in enumerate(_lines(lines), 1):
        place = f"{name}:{number}"
        if line is None:
            yield Entry(place, problem=f"the line is longer than {_LONGEST_LINE // 2**20} MiB")
            continue
        text = line.decode("utf-8", "surrogateescape").removeprefix("\ufeff").strip()
        if text.startswith(("{", '"', "[")):
            yield _of_json(text, place, on_hub)
        elif name_alone := _COMMENT.sub("", text):
            yield _plain(name_alone, place, on_hub)


def _lines(file: IO[bytes]) -> Iterator[bytes | None]:
    """The lines; ``None`` for one that is too long to be kept in memory."""
    while line := file.readline(_LONGEST_LINE):
        if len(line) < _LONGEST_LINE or line.endswith(b"\n"):
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = file.readline(_LONGEST_LINE)
        yield None


def _plain(name: str, place: str, on_hub: bool = False) -> Entry:
    return Entry(name, on_hub=on_hub) if len(name) <= _LONGEST_NAME else Entry(place, problem="the name is too long")


def _of_json(text: str, place: str, on_hub: bool) -> Entry:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return Entry(place, problem=f"the line is no JSON: {_shown(text)}")
    if isinstance(said, str) and said.strip():
        return _plain(said.strip(), place, on_hub)
    if not isinstance(said, dict):
        return Entry(place, problem=f"a text or an object is expected, not {_shown(text)}")
    name = next((said[key] for key in _NAMES if said.get(key)), None)
    config = None if on_hub or any(key in said for key in _OF_THE_HUB) else said.get("config")
    if name is None and config is None:
        return Entry(place, problem=f"the object has none of {', '.join(_NAMES)}: {_shown(text)}")
    texts = [said.get(key) for key in _TEXTS]
    if not isinstance(name, str | None) or not all(isinstance(value, str | None) for value in texts):
        return Entry(place, problem=f"a name is no text: {_shown(text)}")
    if not isinstance(config, dict | None):
        return Entry(place, problem=f"config is no object: {_shown(text)}")
    revision, subfolder = (value or None for value in texts)
    plain = _plain(name.strip() if name else place, place, on_hub)
    return plain if plain.problem else Entry(plain.source, revision, subfolder, config, on_hub)


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _below(argument: str, folder: Path) -> Iterator[Entry]:
    empty = True
    for found in trees.models(folder):
        empty = False
        yield Entry(str(found.path), problem=found.problem)
    if empty:
        yield Entry(argument, problem="no folder in it has the config.json of a model")


def joined(parts: Iterable[Iterator[Entry]]) -> Iterator[Entry]:
    """The entries of all parts, one part after the other."""
    for part in parts:
        yield from part


def wanted(
    arguments: Sequence[str], hub_lists: Sequence[Path], standard_input: IO[bytes], *, all_types: bool
) -> Iterator[Entry]:
    """All that a call names, in the order of its arguments, the hub's lists behind them, and all types at the end."""
    yield from joined(named(argument, standard_input) for argument in arguments)
    yield from joined(from_file(path, on_hub=True) for path in hub_lists)
    if all_types:
        yield from every_type()
