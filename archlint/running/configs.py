"""The configs of a model and of its parts, which its code looks at while it runs."""

from __future__ import annotations

from typing import Any

from torch import nn


def configs(model: nn.Module) -> list[Any]:
    """Each config that a module of ``model`` holds, once."""
    found = map(_config, model.modules())
    return list({id(config): config for config in found if hasattr(config, "__dict__")}.values())


def _config(module: nn.Module) -> Any:
    cls: Any = type(module)
    if "config" not in vars(module) and cls.__getattr__ is nn.Module.__getattr__ and not hasattr(cls, "config"):
        return None  # what torch takes long to say, and a run asks several times
    return getattr(module, "config", None)
