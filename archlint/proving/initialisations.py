"""LoRA's initialisations that compute with weights or data, tried where there are none."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

_FROM_DATA = ("corda_init", "loftq_init", "lora_ga_init")
"""Methods of PEFT's ``LoraLayer`` (0.21.2) for which the user prepares the model, or which need a package."""
_FROM_WEIGHTS = ("pissa_init", "olora_init", "mica_init")
"""Those that compute with the weights of the base, and may change them."""


@contextlib.contextmanager
def initialisations(*, on_meta: bool) -> Iterator[None]:
    """Within the block PEFT initialises adapters and leaves the weights of the base as they are.

    On the meta device what computes with weights runs: it decides on shapes, which may be smaller than the rank
    asks for, and PEFT refuses layers that it cannot do. Elsewhere, and with data, an adapter is left as it was made.
    """
    from peft.tuners.lora import LoraLayer
    from torch.nn import init

    methods: dict[str, Callable[[Any], Any]] = dict.fromkeys((*_FROM_DATA, *_FROM_WEIGHTS), _nothing)
    if on_meta:
        methods |= {**dict.fromkeys(_FROM_WEIGHTS, _of_shapes), "mica_init": _checked}
    with contextlib.ExitStack() as stack:
        for name, wrapped in methods.items():
            method = getattr(LoraLayer, name, None)  # older versions of PEFT know fewer
            if method is not None:
                stack.callback(setattr, LoraLayer, name, method)
                setattr(LoraLayer, name, functools.wraps(method)(wrapped(method)))
        if on_meta:
            stack.callback(setattr, init, "kaiming_uniform_", init.kaiming_uniform_)
            init.kaiming_uniform_ = _unfilled(init.kaiming_uniform_)
        yield


def _nothing(_: Any) -> Any:
    return lambda *_, **__: None


def _unfilled(fill: Any) -> Any:
    """``fill``, which every new layer is filled by: on the meta device a matrix is as good without, and made faster."""

    @functools.wraps(fill)
    def filled(tensor: Any, *args: Any, **kwargs: Any) -> Any:
        is_matrix = tensor.ndim > 1 and tensor.numel()  # of what is none torch has something to say
        return tensor if tensor.is_meta and is_matrix else fill(tensor, *args, **kwargs)

    return filled


def _of_shapes(method: Any) -> Any:
    def initialise(layer: Any, *args: Any, **kwargs: Any) -> None:
        weight = layer.get_base_layer().weight
        content = weight.data
        try:
            method(layer, *args, **kwargs)
        finally:
            weight.data = content

    return initialise


def _checked(method: Any) -> Any:
    """MiCA sets only shapes that are known before; PEFT passes over an adapter on meta, and over its check as well."""

    def initialise(layer: Any, adapter_name: str) -> None:
        base = layer.get_base_layer()
        if layer.r[adapter_name] > min(base.weight.shape):
            loaded = {adapter_name: SimpleNamespace(weight=SimpleNamespace(device=SimpleNamespace(type="cpu")))}
            method(
                SimpleNamespace(
                    get_base_layer=lambda: base,
                    fan_in_fan_out=layer.fan_in_fan_out,
                    r=layer.r,
                    lora_A=loaded,
                    lora_B=loaded,
                ),
                adapter_name,
            )

    return initialise
