"""Settings as the lines of a YAML file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_PLAIN = re.compile(r"[A-Za-z_][\w./-]*")
_RESERVED = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


def yaml_lines(settings: Mapping[str, Any]) -> str:
    """``settings`` one below the other, lists with one item a line, each line with its line break."""
    return "".join(f"{key}:{_value(value)}\n" for key, value in settings.items() if value is not None)


def _value(value: Any) -> str:
    if isinstance(value, list) and value:
        return "".join(f"\n  - {_scalar(item)}" for item in value)
    if isinstance(value, Mapping) and value:
        return "".join(f"\n  {_scalar(key)}: {_scalar(item)}" for key, item in value.items())
    return f" {_scalar(value)}"


def _scalar(value: Any) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    if _PLAIN.fullmatch(value) and value.lower() not in _RESERVED:
        return value
    return "'" + value.replace("'", "''") + "'" if value.isprintable() else json.dumps(value)
