"""What stands in a patch file that changes no model, and tells PEFT of wrappers."""

from __future__ import annotations

from typing import Any

from peft import LoraConfig
from peft.tuners.lora import Linear
from torch import nn

from archlint.surgery.templates.constants import MADE_FOR, WRAPPERS


def register(config: LoraConfig, model: nn.Module) -> LoraConfig:
    """Have ``config`` adapt the linear inside each wrapper that it names; return it.

    PEFT saves none of this: call it for each config that is to place adapters on
    ``model``, or to load them.

    Raises:
        ValueError: the model has no such wrapper, or one around a quantized layer.
    """
    classes = {
        type(module) for module in model.modules() if type(module).__name__ in WRAPPERS
    }
    if not classes:
        raise ValueError(
            f"{type(model).__name__} has no {' or '.join(WRAPPERS)}: "
            f"this file is for {MADE_FOR}"
        )
    for path, module in model.named_modules():
        if type(module).__name__ in WRAPPERS:
            linear = getattr(module, WRAPPERS[type(module).__name__])
            if not isinstance(linear, Linear) and type(linear) is not nn.Linear:
                raise ValueError(f"{path} holds {type(linear).__name__}, not nn.Linear")
    layers: Any = dict.fromkeys(classes, _adapted)
    config._register_custom_module(layers)
    return config


def targets(model: nn.Module) -> list[str]:
    """The paths of the wrappers, for ``target_modules``."""
    return [
        path
        for path, module in model.named_modules()
        if type(module).__name__ in WRAPPERS
    ]


def _adapted(
    wrapper: nn.Module, adapter_name: str, *, config: LoraConfig, **arguments: Any
) -> nn.Module:
    """What PEFT puts in a wrapper's place: itself, with an adapter on its linear."""
    name = WRAPPERS[type(wrapper).__name__]
    linear = getattr(wrapper, name)
    if isinstance(linear, Linear):  # another adapter was there first
        rank, alpha = arguments.pop("r"), arguments.pop("lora_alpha")
        linear.update_layer(
            adapter_name, rank, lora_alpha=alpha, config=config, **arguments
        )
    else:
        adapted = Linear(linear, adapter_name, config=config, **arguments)
        setattr(wrapper, name, adapted)
    return wrapper
