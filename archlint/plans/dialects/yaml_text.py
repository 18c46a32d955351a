"""Settings as the lines of a YAML file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archlint.plans.yaml_scalars import scalar


def yaml_lines(settings: Mapping[str, Any]) -> str:
    """``settings`` one below the other, lists with one item a line, each line with its line break."""
    return "".join(f"{key}:{_value(value)}\n" for key, value in settings.items() if value is not None)


def _value(value: Any) -> str:
    if isinstance(value, list) and value:
        return "".join(f"\n  - {scalar(item)}" for item in value)
    if isinstance(value, Mapping) and value:
        return "".join(f"\n  {scalar(key)}: {scalar(item)}" for key, item in value.items())
    return f" {scalar(value)}"
