"""How many features a model makes of a picture or a sound: asked from the model itself, which knows best.

So many placeholder tokens the row wants that the picture or sound belongs to.
"""

from __future__ import annotations

import contextlib
import inspect
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from archlint.running.batch import Batch
from archlint.running.on_meta import runnable
from archlint.running.restore import restored
from archlint.running.step import forward

_aten = torch.ops.aten
_PUTS = frozenset({_aten.index_put, _aten.index_put_, _aten.masked_scatter, _aten.masked_scatter_})
_SWITCH = "TRANSFORMERS_DISABLE_TORCH_CHECK"


def method(model: nn.Module, kind: str, inputs: Mapping[str, Any]) -> Callable[..., Any] | None:
    """The method that makes features of ``inputs``, for a ``kind`` of ``image``, ``video`` or ``audio``.

    A class with a head passes on what it does not name, so the one that names most is taken. ``None`` where there
    is none, or where it asks for the tokens too.
    """
    name = f"get_{kind}_features"
    methods = (getattr(module, name) for module in model.modules() if hasattr(type(module), name))
    found = max(methods, key=lambda method: len(_named(method, inputs)), default=None)
    return None if found is None or "input_ids" in inspect.signature(found).parameters else found


def made(model: nn.Module, method: Callable[..., Any], inputs: Mapping[str, Any]) -> int | None:
    """How many features ``method`` makes of ``inputs``; ``None`` where it does not take them."""
    try:
        with _untraced(model) as device:
            found = method(**Batch(_named(method, inputs)).on(device))
    except Exception:  # whatever a model's code raises on a wrong guess
        return None
    return sum(tensor.shape[:-1].numel() for tensor in _features(found))


def met(model: nn.Module, batch: Batch) -> int | None:
    """How many features ``model`` puts in the place of tokens when it is run on ``batch``.

    0 where it does with as many as there are; ``None`` where it fails before.
    """
    meeting = _Meeting(batch.inputs["input_ids"].shape)
    try:
        with _unchecked(), _untraced(model) as device, meeting:
            forward(model, batch, device)
    except Exception:  # as above
        return meeting.features or None
    return meeting.features


class _Meeting(TorchDispatchMode):
    """Counts the features that are first put in the place of tokens, of which there are ``shape``."""

    def __init__(self, shape: torch.Size) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._shapes = (shape, (shape.numel(),))
        self.features = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func.overloadpacket in _PUTS and not self.features:
            tokens, features = args[0], args[2]
            if tokens.shape[:-1] in self._shapes and tokens.shape[-1:] == features.shape[-1:]:
                self.features = features.shape[:-1].numel()
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def _untraced(model: nn.Module) -> Iterator[str]:
    """Within the block ``model`` can be run and is as before afterwards; gives the device to run it on."""
    device = next((parameter.device.type for parameter in model.parameters()), "cpu")
    with torch.no_grad(), restored(model), runnable(model) if device == "meta" else contextlib.nullcontext():
        yield device


@contextlib.contextmanager
def _unchecked() -> Iterator[None]:
    """Within the block transformers does not compare the number of features with that of placeholders."""
    before = os.environ.get(_SWITCH)
    os.environ[_SWITCH] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_SWITCH]
        else:
            os.environ[_SWITCH] = before


def _named(method: Callable[..., Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Those of ``inputs`` that ``method`` names."""
    names = inspect.signature(method).parameters
    return {name: value for name, value in inputs.items() if name in names}


def _features(value: Any) -> Iterator[Tensor]:
    """The features in what a method for them returns: pooled where they are, one tensor or one for each picture."""
    if isinstance(value, Tensor):
        yield value
    elif hasattr(value, "last_hidden_state"):
        pooled = getattr(value, "pooler_output", None)
        yield from _features(value.last_hidden_state if pooled is None else pooled)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _features(part)
