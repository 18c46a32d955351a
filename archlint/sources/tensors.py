"""Names and shapes of the tensors in a safetensors file, by its header alone: no weights are read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archlint.sources.source import SourceError

_LENGTH = 8
"""Bytes in front of the header that say how long it is, the lowest first (safetensors' format description)."""
_MOST_BYTES = 100 * 2**20
"""The longest header that safetensors itself reads."""
_MOST_TENSORS = 1_000_000


def shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor in ``file``, by its name.

    Raises:
        SourceError: it cannot be read, or is no safetensors file.
    """
    try:
        with file.open("rb") as stream:
            start = stream.read(_LENGTH)
            length = int.from_bytes(start, "little")
            if len(start) < _LENGTH or not 2 <= length <= _MOST_BYTES:
                raise SourceError(f"{file} is no safetensors file: its header has no sensible length")
            content = stream.read(length)
    except OSError as error:
        raise SourceError(f"{file} cannot be read: {error.strerror or error}") from error
    if len(content) < length:
        raise SourceError(f"{file} ends within its header")
    try:
        header = json.loads(content.decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{file} is no safetensors file: its header is not JSON") from error
    if not isinstance(header, dict) or len(header) > _MOST_TENSORS:
        raise SourceError(f"{file} is no safetensors file: its header is no table of tensors")
    return {name: _shape(file, name, entry) for name, entry in header.items() if name != "__metadata__"}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is there twice")
    return found


def _shape(file: Path, name: str, entry: Any) -> tuple[int, ...]:
    shape = entry.get("shape") if isinstance(entry, Mapping) else None
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise SourceError(f"{file} is no safetensors file: {name[:100]} has no shape")
    if len(shape) > 64 or math.prod(shape) >= 2**63:
        raise SourceError(f"{file}: no tensor has the shape of {name[:100]}")
    return tuple(shape)
