"""A model's configuration without what only names it: models that differ by nothing else are one architecture.

The canonical configuration is what is built, so what is left out of it cannot be in any result.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_PATHS = ("_name_or_path", "name_or_path")
_COMMIT, _VERSION = "_commit_hash", "transformers_version"
_LABELS, _IDS = "id2label", "label2id"


def canonical(config: Mapping[str, Any]) -> dict[str, Any]:
    """``config``, the content of a config.json, with names of no consequence made alike.

    These are where it was loaded from, the commit, the names of its labels (how many there are stays), and of the
    version of transformers that wrote it all but the first number. No key is taken out: some classes look whether
    there is one. The order of keys stays, as the last of two that mean the same wins.
    """
    labels = config.get(_LABELS)
    return {key: _plain(key, value, labels) for key, value in config.items()}


def _plain(key: str, value: Any, labels: Any) -> Any:
    if key in _PATHS and isinstance(value, str):
        return ""
    if key == _COMMIT and isinstance(value, str):
        return "0" * 40
    if key == _VERSION and isinstance(value, str):
        return f"{number[0]}.0.0" if (number := re.match(r"\d+", value)) else value
    if key == _LABELS and _is_labels(value):
        return {number: f"LABEL_{number}" for number in value}
    if key == _IDS and _is_labels(labels):
        return {f"LABEL_{number}": int(number) for number in labels}
    return canonical(value) if isinstance(value, Mapping) else value


def _is_labels(value: Any) -> bool:
    """Whether it gives names to numbers."""
    return (
        isinstance(value, Mapping)
        and all(isinstance(number, str) and number.isdecimal() for number in value)
        and all(isinstance(label, str) for label in value.values())
    )
