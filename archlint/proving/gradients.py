"""Which adapters of an injected model got a gradient."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn


class Adapters:
    """The adapters that a model holds, by the names that their places have in the base."""

    def __init__(self, model: nn.Module) -> None:
        from peft.tuners.lora import LoraLayer

        self._model = model
        modules = dict(model.named_modules())
        self._layers = {
            _place(name, module): module for name, module in modules.items() if issubclass(type(module), LoraLayer)
        }

    def names(self) -> tuple[str, ...]:
        """The places of all adapters; one on a parameter ends in the parameter's name."""
        return tuple(self._layers)

    def without_gradient(self) -> Iterator[str]:
        """The adapted modules and parameters, of those that are in the model now, whose adapter has no gradient.

        An adapter that took no part in the loss has no gradient at all; one that did has one, even if it is zero.
        """
        present = set(map(id, self._model.modules()))
        for name, module in self._layers.items():
            if id(module) in present and all(weight.grad is None for weight in _weights(module)):
                yield name


def in_base(name: str) -> str:
    """What a module of an injected model was called before: PEFT nests what it wraps under ``base_layer``."""
    return ".".join(part for part in name.split(".") if part != "base_layer")


def _place(name: str, adapter: nn.Module) -> str:
    from peft.tuners.lora.layer import ParamWrapper

    return f"{in_base(name)}.{adapter.parameter_name}" if isinstance(adapter, ParamWrapper) else in_base(name)


def _weights(adapter: nn.Module) -> Iterator[nn.Parameter]:
    """The adapter's own trainable weights: what it wraps may hold another adapter."""
    for name, weight in adapter.named_parameters():
        if weight.requires_grad and not name.startswith("base_layer."):
            yield weight
