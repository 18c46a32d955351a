"""Which adapters, and which modules that are trained in full, got a gradient in an injected model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from peft.tuners.tuners_utils import BaseTunerLayer


class Adapters:
    """The adapters that a model holds, and the copies that it trains in full, by their places' names in the base.

    Args:
        model: the injected model.
        kind: PEFT's class of the layers that hold the adapters.
    """

    def __init__(self, model: nn.Module, kind: type[BaseTunerLayer]) -> None:
        from peft.utils.other import AuxiliaryTrainingWrapper

        self._model = model
        self._saved = {
            in_base(name): module
            for name, module in model.named_modules()
            if isinstance(module, AuxiliaryTrainingWrapper)
        }
        self._layers = {
            _place(name, module): module for name, module in model.named_modules() if issubclass(type(module), kind)
        }
        shared = _shared(self._layers.values())
        self._own = {
            name: [weight for weight in _weights(layer) if id(weight) not in shared]
            for name, layer in self._layers.items()
        }
        self._answered: set[int] = set()
        for name, layer in self._layers.items():
            if not self._own[name]:
                layer.register_forward_hook(self._listen)

    def names(self) -> tuple[str, ...]:
        """The places of all adapters; one on a parameter ends in the parameter's name."""
        return tuple(self._layers)

    def layers(self) -> Mapping[str, BaseTunerLayer]:
        """PEFT's layers, by the places of their adapters."""
        return self._layers

    def saved(self) -> tuple[str, ...]:
        """The places of the modules that are trained in full, as ``modules_to_save`` asks for."""
        return tuple(self._saved)

    def saved_without_gradient(self) -> Iterator[str]:
        """Those of :meth:`saved` that are in the model now and none of whose weights has a gradient."""
        present = set(map(id, self._model.modules()))
        for name, module in self._saved.items():
            trained = [weight for weight in module.parameters() if weight.requires_grad]
            if id(module) in present and trained and all(weight.grad is None for weight in trained):
                yield name

    def without_gradient(self) -> Iterator[str]:
        """The adapted modules and parameters, of those that are in the model now, whose adapter has no gradient.

        An adapter that took no part in the loss has no gradient at all; one that did has one, even if it is zero.
        Where all its trained weights belong to other adapters too, or to none, what the layer gives tells.
        """
        present = set(map(id, self._model.modules()))
        for name, layer in self._layers.items():
            own = self._own[name]
            alive = any(weight.grad is not None for weight in own) if own else id(layer) in self._answered
            if id(layer) in present and not alive:
                yield name
        self._answered.clear()

    def _listen(self, layer: nn.Module, _: object, output: object) -> None:
        """Take note of ``layer`` once a gradient comes back to what it gave."""
        if not isinstance(output, Tensor):
            self._answered.add(id(layer))  # then nothing is said against it
        elif output.requires_grad:
            output.register_hook(lambda _: self._answered.add(id(layer)))


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


def _shared(layers: Iterable[nn.Module]) -> frozenset[int]:
    """Identities of the weights that more than one of ``layers`` holds, as a bank of vectors is."""
    counts = Counter(id(weight) for layer in layers for weight in _weights(layer))
    return frozenset(identity for identity, count in counts.items() if count > 1)
