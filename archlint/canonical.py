"""A model's configuration without what only names it: models that differ by nothing else are one architecture.

The canonical configuration is what is built, so what is left out of it cannot be in any result.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_NAMES = frozenset({"_name_or_path", "name_or_path", "_commit_hash"})
_VERSION, _LABELS, _IDS = "transformers_version", "id2label", "label2id"


def canonical(config: Mapping[str, Any]) -> dict[str, Any]:
    """``config``, the content of a config.json, without names of no consequence.

    Where it was loaded from goes, and the commit. The names of its labels are made alike: how many there are stays.
    Of the version of transformers that wrote it the first number stays: some classes look whether there is one. The
    order of keys stays, as the last of two that mean the same wins.
    """
    labels = config.get(_LABELS)
    return {
        key: _plain(key, value, labels)
        for key, value in config.items()
        if key not in _NAMES or not isinstance(value, str | None)
    }


def _plain(key: str, value: Any, labels: Any) -> Any:
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
