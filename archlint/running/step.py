"""One training step of a model as it stands: forward, loss, backward."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from archlint.running.batch import Batch
from archlint.running.configs import configs
from archlint.running.draws import nothing_dropped


class NoLossError(Exception):
    """Nothing that the model returns depends on anything that is trained."""


def step(model: nn.Module, batch: Batch, device: str, *, cache: bool = False) -> None:
    """Run ``model`` forward and backward in training mode; gradients are left on its parameters.

    Args:
        cache: with the cache of keys and values, which generation uses and trainers switch off.

    Raises:
        NoLossError: the outputs have no gradient.
        Exception: whatever the model's code raises.
    """
    model.train()
    outputs = forward(model, batch, device, cache=cache)
    loss = next((tensor for tensor in _losses(outputs) if tensor.requires_grad), None)
    if loss is None:
        raise NoLossError("no output depends on what is trained")
    loss.backward()


def forward(model: nn.Module, batch: Batch, device: str, *, cache: bool = False) -> Any:
    """What ``model`` returns for ``batch``, in the mode that it is in.

    Raises:
        Exception: whatever the model's code raises.
    """
    for config in configs(model):
        if hasattr(config, "use_cache"):
            config.use_cache = cache
    inputs = batch.on(device)
    if _is_told(model):
        inputs["use_cache"] = cache
    with nothing_dropped():
        return model(**inputs)


def takes_cache(model: nn.Module) -> bool:
    """Whether anything decides over a cache of keys and values, so that :func:`forward` may run in two ways."""
    return _is_told(model) or any(hasattr(config, "use_cache") for config in configs(model))


def _is_told(model: nn.Module) -> bool:
    return "use_cache" in inspect.signature(type(model).forward).parameters


def _losses(outputs: Any) -> Iterator[Tensor]:
    """What can be trained on, best first: the model's own loss, else the sum of its main output."""
    loss = getattr(outputs, "loss", None)
    if isinstance(loss, Tensor):
        yield loss.sum()
        return
    named = [getattr(outputs, name, None) for name in ("logits", "last_hidden_state")]
    for value in (*named, *_tensors(outputs)):
        if isinstance(value, Tensor) and value.is_floating_point():
            yield value.float().sum()


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _tensors(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _tensors(part)
