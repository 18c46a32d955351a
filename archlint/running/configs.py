"""The configs of a model and of its parts, which its code looks at while it runs."""

from __future__ import annotations

from typing import Any

from torch import nn


def configs(model: nn.Module) -> list[Any]:
    """Each config that a module of ``model`` holds, once."""
    found = (getattr(module, "config", None) for module in model.modules())
    return list({id(config): config for config in found if hasattr(config, "__dict__")}.values())
