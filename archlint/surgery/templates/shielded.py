"""What stands in a patch file for layers that look like a linear and are none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from archlint.surgery.templates.constants import MADE_FOR
from archlint.surgery.templates.products import Matrix

LAYERS: dict[str, bool] = {}
"""The classes of the layers, and whether they multiply as a linear does."""


class NoLinear(type):
    """Makes classes that inherit from all of their bases but ``nn.Linear``."""

    def mro(cls) -> list[type]:
        """The classes that attributes are looked for in, in order."""
        return [base for base in super().mro() if base is not nn.Linear]


class Product(nn.Linear):
    """The linear of a layer: it multiplies in the type of its inputs.

    Many routers multiply in float32 by a weight of bfloat16.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Map ``(..., in_features)`` to ``(..., out_features)``."""
        bias = None if self.bias is None else self.bias.to(inputs.dtype)
        return nn.functional.linear(inputs, self.weight.to(inputs.dtype), bias)


class Shielded(nn.Module):
    """What a layer has in the place of ``nn.Linear``: a linear for its product."""

    linear: nn.Module
    """A :class:`Product`, or what PEFT has put in its place."""

    def forward(self, inputs: Tensor) -> Any:
        """Multiply: this is what ``super().forward`` of the layer's class is."""
        return self.linear(inputs)

    @property
    def weight(self) -> Matrix:
        """What the layer's own code multiplies by."""
        return Matrix(self.linear)

    @property
    def bias(self) -> None:
        """Nothing is left to add: the linear adds its bias."""
        return


def unwrap(model: nn.Module) -> nn.Module:
    """Make the layers no ``nn.Linear``, and return ``model``.

    One that multiplies as a linear does gets a ``linear`` for it, which PEFT can adapt.
    Layers and parameters stay the objects that they are, and layers compute with their
    own code. A model that is unwrapped stays as it is.

    Raises:
        ValueError: the model has no such layer, or one unlike those that this file was
            made for.
    """
    layers = _layers(model)
    if not layers:
        raise ValueError(
            f"{type(model).__name__} has no {' or '.join(LAYERS)}: "
            f"this patch is for {MADE_FOR}"
        )
    bare = {path: layer for path, layer in layers.items() if not _is_shielded(layer)}
    for path, layer in bare.items():
        _check(path, layer)
    classes: dict[type, type] = {}
    for layer in bare.values():
        cls = type(layer)
        multiplies = LAYERS[cls.__name__]
        if cls not in classes:
            bases = (cls, Shielded) if multiplies else (cls,)
            classes[cls] = NoLinear(cls.__name__, bases, {})
        linear = _linear(layer) if multiplies else None
        layer.__class__ = classes[cls]
        if linear is not None:
            layer.linear = linear
    return model


def rewrap(model: nn.Module) -> nn.Module:
    """Make the layers what they were, and return ``model``.

    Its state dict has the original's keys again.

    Raises:
        ValueError: a layer's linear carries an adapter, which is to be merged or
            unloaded first.
    """
    layers = {
        path: layer for path, layer in _layers(model).items() if _is_shielded(layer)
    }
    for path, layer in layers.items():
        if isinstance(layer, Shielded) and type(layer.linear) is not Product:
            raise ValueError(
                f"{path}.linear carries an adapter: "
                "model = model.merge_and_unload(), then rewrap(model)"
            )
    for layer in layers.values():
        linear = layer._modules.pop("linear") if isinstance(layer, Shielded) else None
        layer.__class__ = type(layer).__bases__[0]
        if linear is not None:
            _give_back(layer, linear)
    return model


def to_original(
    state_dict: Mapping[str, Tensor], model: nn.Module
) -> dict[str, Tensor]:
    """``state_dict`` of the unwrapped model, or of a LoRA for it, for the original.

    The original takes a LoRA of a layer's linear by ``target_parameters``: see
    :func:`original_config`.

    Args:
        state_dict: keyed as by ``model.state_dict()``, or as in PEFT's
            ``adapter_model.safetensors``.
        model: the model, unwrapped or not.
    """
    places = _places(model)
    return {_outwards(key, places): tensor for key, tensor in state_dict.items()}


def to_unwrapped(
    state_dict: Mapping[str, Tensor], model: nn.Module
) -> dict[str, Tensor]:
    """The way back: ``state_dict`` of the original, or of a LoRA for it."""
    places = _places(model)
    return {_inwards(key, places): tensor for key, tensor in state_dict.items()}


def original_config(
    config: Mapping[str, Any], state_dict: Mapping[str, Tensor], model: nn.Module
) -> dict[str, Any]:
    """The ``adapter_config.json`` for what :func:`to_original` makes of a LoRA.

    PEFT has no dropout for parameters: the original gets none.

    Args:
        config: what ``adapter_config.json`` says of the LoRA on the unwrapped model.
        state_dict: that LoRA, not yet converted.
        model: the model, unwrapped or not.

    Raises:
        ValueError: the layers have ranks or alphas of their own.
    """
    linears = {f"{place}.linear" for place in _places(model)}
    paths = {_bare(key).partition(".lora_")[0] for key in state_dict}
    for name in (
        *(config.get("rank_pattern") or ()),
        *(config.get("alpha_pattern") or ()),
    ):
        if any(re.fullmatch(rf"(.*\.)?({name})", path) for path in paths & linears):
            raise ValueError("ranks and alphas of the layers' own are not converted")
    layers = {_bare(path): layer for path, layer in model.named_modules()}
    modules = {
        path for path in paths - linears if _has_weight(layers.get(_outer(path)))
    }
    return {
        **config,
        "target_modules": sorted(modules),
        "target_parameters": [
            *(config.get("target_parameters") or ()),
            *sorted(path.removesuffix("linear") + "weight" for path in paths & linears),
        ],
        "layers_to_transform": None,
        "layers_pattern": None,
        "lora_dropout": 0.0,
    }


def _outer(path: str) -> str:
    """The path of a layer that several adapters are around."""
    return path.replace(".base_layer", "")


def _has_weight(layer: Any) -> bool:
    """Whether a layer was adapted as a whole; others have adapters on parameters."""
    while hasattr(layer, "base_layer"):
        layer = layer.base_layer
    return layer is None or "weight" in layer._parameters


def _layers(model: nn.Module) -> dict[str, Any]:
    return {
        path: module
        for path, module in model.named_modules()
        if type(module).__name__ in LAYERS
    }


def _is_shielded(layer: nn.Module) -> bool:
    return isinstance(type(layer), NoLinear)


def _check(path: str, layer: nn.Module) -> None:
    if path.endswith("base_layer"):
        raise ValueError(f"{path} carries an adapter: unwrap before adapters are added")
    if "forward" in vars(layer):
        raise ValueError(
            f"{path} has a forward of its own, as in a model that is spread over "
            "devices: load the model on one device"
        )
    weight = layer._parameters.get("weight")
    if weight is None or weight.dim() != 2 or not weight.is_floating_point():
        raise ValueError(f"{path} has no matrix: make a patch for this model")
    if "linear" in layer._modules:
        raise ValueError(f"{path} has a linear of its own: make a patch for this model")
    if not LAYERS[type(layer).__name__] and not isinstance(layer, nn.Linear):
        raise ValueError(f"{path} is no nn.Linear: make a patch for this model")


def _linear(layer: Any) -> Product:
    """A linear that takes the weight and the bias of ``layer`` over."""
    rows, columns = layer.weight.shape
    linear = Product(columns, rows, device="meta")
    for name in ("weight", "bias"):
        setattr(linear, name, layer._parameters.pop(name, None))
    return linear.train(layer.training)


def _give_back(layer: nn.Module, linear: nn.Module) -> None:
    """Make the linear's parameters those of the layer, its first ones."""
    others = dict(layer._parameters)
    layer._parameters.clear()
    for name, parameter in linear._parameters.items():
        if parameter is not None or isinstance(layer, nn.Linear):
            layer._parameters[name] = parameter
    layer._parameters.update(others)


def _places(model: nn.Module) -> set[str]:
    """Where the layers are that have a linear, or are to get one."""
    return {
        _bare(path).removesuffix(".base_layer")
        for path, layer in _layers(model).items()
        if LAYERS[type(layer).__name__]
    }


def _outwards(key: str, places: set[str]) -> str:
    owner, _, rest = key.rpartition(".linear.")
    return f"{owner}.{rest}" if _bare(owner) in places else key


def _inwards(key: str, places: set[str]) -> str:
    match = re.fullmatch(r"(.+?)\.(weight|bias|lora_.+)", key)
    if match is None or _bare(match[1]) not in places:
        return key
    return f"{match[1]}.linear.{match[2]}"


def _bare(key: str) -> str:
    return key.removeprefix("base_model.model.")
