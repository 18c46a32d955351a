"""Digests of content and of plain values: the same in every process and on every machine."""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import Any

_BYTES = 20


def key_of(*parts: Any) -> str:
    """The key of what depends on ``parts``, the same in every process and on every machine.

    They are plain values: ``None``, booleans, numbers, strings, and sequences and mappings by string of these. The
    order of a mapping counts: PEFT takes the first of ``rank_pattern`` that matches.

    Raises:
        TypeError: a value is not plain.
    """
    _check_plain(parts)
    return digest(json.dumps(parts, separators=(",", ":")).encode())


def _check_plain(value: Any) -> None:
    if isinstance(value, dict):
        for key, content in value.items():
            if not isinstance(key, str):  # JSON would make a string of it, and two keys of one
                raise TypeError(f"a key of a mapping is a string, not {key!r}")
            _check_plain(content)
    elif isinstance(value, (list, tuple)):
        for content in value:
            _check_plain(content)
    elif value is not None and not isinstance(value, (str, int, float)):
        raise TypeError(f"{value!r} is no plain value")


def digest(content: bytes) -> str:
    """The digest of ``content``."""
    return blake2b(content, digest_size=_BYTES).hexdigest()
