"""Reading a JSON object that somebody else wrote, and saying exactly what is wrong with it."""

from __future__ import annotations

import json
import stat
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archlint.sources.source import SourceError

MAX_BYTES = 20_000_000


@dataclass(frozen=True, slots=True)
class Document:
    """A JSON object, and the keys that occur twice in one of its objects (the last value counts)."""

    content: Mapping[str, Any]
    repeated: tuple[str, ...] = ()


def read(path: Path) -> Document:
    """The JSON object in the file at ``path``.

    Raises:
        SourceError: it cannot be read, is larger than :data:`MAX_BYTES`, or holds no JSON object.
    """
    try:
        mode = path.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):  # a shell's <(...) is a pipe
            raise SourceError(f"{path} is no file")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}") from error
    return parse(data, str(path))


def parse(data: bytes, name: str) -> Document:
    """The JSON object in ``data`` (UTF-8, UTF-16 or UTF-32), which ``name`` stands for in messages.

    ``NaN`` and ``Infinity`` are accepted: published configurations hold them.

    Raises:
        SourceError: ``data`` is too large, or is no JSON object.
    """
    if len(data) > MAX_BYTES:
        raise SourceError(f"{name} is larger than {MAX_BYTES // 1_000_000} MB", "a config.json has a few kilobytes")
    if not data.strip(b"\0 \t\r\n"):
        raise SourceError(f"{name} is empty")
    if data.startswith(b"version https://git-lfs"):
        raise SourceError(f"{name} is a Git LFS pointer", "fetch the file itself with git lfs pull")
    repeated: dict[str, None] = {}

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        content = dict(items)
        if len(content) < len(items):
            times = Counter(key for key, _ in items)
            repeated.update(dict.fromkeys(key for key in content if times[key] > 1))
        return content

    try:
        text = data.decode(json.detect_encoding(data))
        content = json.loads(text.removeprefix("\ufeff"), object_pairs_hook=pairs)
    except UnicodeDecodeError as error:
        raise SourceError(f"{name} is no text: byte {error.start} cannot be decoded as {error.encoding}") from error
    except json.JSONDecodeError as error:
        raise SourceError(f"{name} is not JSON: line {error.lineno}, column {error.colno}: {error.msg}") from error
    except RecursionError as error:
        raise SourceError(f"{name} is nested too deeply") from error
    except ValueError as error:  # an integer of thousands of digits
        raise SourceError(f"{name} is not JSON that can be read: {error}") from error
    if not isinstance(content, dict):
        raise SourceError(f"{name} holds {_kind(content)}, not a JSON object")
    return Document(content, tuple(repeated))


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "a string"
    return "a list" if isinstance(value, list) else "a number"


def remarks(document: Document, name: str) -> list[str]:
    """What the reader should know of ``document``, which ``name`` stands for."""
    return [f"{name} gives {key!r} more than once; the last value counts" for key in document.repeated]
