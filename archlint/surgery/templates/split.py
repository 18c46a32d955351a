"""What stands in a patch file for fused projections: a linear for each part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from archlint.surgery.templates.constants import MADE_FOR
from archlint.surgery.templates.swapping import _divided, _replace

PARTS: dict[str, dict[int, dict[str, int]]] = {}
"""By caller and attribute, then by the rows of the layer: each part's rows in turn."""


class SplitLinear(nn.Module):
    """A fused projection as one linear for each of its parts.

    It gives what the fused one gives, of shape ``(..., out_features)``.
    """

    fused: Any
    """The fused layer, without its weight and bias."""

    def __init__(self, fused: Any, sizes: Mapping[str, int]) -> None:
        super().__init__()
        self.sizes = dict(sizes)
        self.__dict__["fused"] = fused  # past nn.Module, which would make it a child
        weights = _cut(_rows(fused, fused.weight.detach()), sizes)
        biases = {} if fused.bias is None else _cut(fused.bias.detach(), sizes)
        for name, weight in weights.items():
            rows, width = weight.shape
            linear = nn.Linear(width, rows, bias=bool(biases), device="meta")
            linear.weight = nn.Parameter(weight, fused.weight.requires_grad)
            if biases:
                linear.bias = nn.Parameter(biases[name], fused.bias.requires_grad)
            self.add_module(name, linear)
        self.train(fused.training)

    def forward(self, hidden: Tensor) -> Tensor:
        """The outputs of the parts, in the order of the fused layer's rows."""
        outputs = {name: part(hidden) for name, part in self.named_children()}
        return _joined(outputs, self.sizes, hidden.ndim - 1)


def unwrap(model: nn.Module) -> nn.Module:
    """Put a linear for each part in every fused layer's place, and return ``model``.

    A model that is unwrapped stays as it is. Weights are copied, one layer after the
    other; the parts of a layer at a path are at ``<path>.<name of the part>``.

    Raises:
        ValueError: the model has no such layer, or one unlike those that this file was
            made for.
    """
    places = _fused(model)
    if not places and not _split(model):
        raise ValueError(
            f"{type(model).__name__} has no {' or '.join(PARTS)}: "
            f"this patch is for {MADE_FOR}"
        )
    _refuse_shared(model, places)
    found = {
        layer: _sizes(path, layer, layouts) for path, (layer, layouts) in places.items()
    }
    others: dict[nn.Module, nn.Module] = {}
    for layer, sizes in found.items():
        others[layer] = SplitLinear(layer, sizes)
        layer.weight = layer.bias = None
    _replace(model, others)
    return model


def rewrap(model: nn.Module) -> nn.Module:
    """Fuse the parts again, and return ``model``.

    Its state dict has the original's keys again, and every number that was not trained
    is what it was.

    Raises:
        ValueError: a part carries an adapter, which is to be merged or unloaded first.
    """
    splits = _split(model)
    for path, split in splits.items():
        for name, part in split.named_children():
            if type(part) is not nn.Linear:
                raise ValueError(
                    f"{path}.{name} carries an adapter: "
                    "model = model.merge_and_unload(), then rewrap(model)"
                )
    others: dict[nn.Module, nn.Module] = {}
    for split in splits.values():
        layer = others[split] = split.__dict__.pop("fused")
        parts = dict(split.named_children())
        for kind in ("weight", "bias"):
            tensors = {name: getattr(part, kind) for name, part in parts.items()}
            if all(tensor is not None for tensor in tensors.values()):
                whole = _joined(_detached(tensors), split.sizes, 0)
                trained = any(tensor.requires_grad for tensor in tensors.values())
                setattr(layer, kind, nn.Parameter(_rows(layer, whole), trained))
        layer.train(split.training)
        for name in parts:
            delattr(split, name)  # what is fused is not needed twice
    _replace(model, others)
    return model


def targets(model: nn.Module) -> list[str]:
    """The paths of all parts of the fused layers, for ``target_modules``."""
    return [
        f"{path}.{name}"
        for path, split in _split(model).items()
        for name in split.sizes
    ]


def to_original(
    state_dict: Mapping[str, Tensor], model: nn.Module
) -> dict[str, Tensor]:
    """``state_dict`` of the unwrapped model, or of a LoRA on it, for the original.

    The LoRAs of a layer's parts become one LoRA of the layer, whose rank is the sum of
    theirs: see :func:`original_config`.

    Args:
        state_dict: keyed as by ``model.state_dict()``, or as in PEFT's
            ``adapter_model.safetensors``.
        model: the model, unwrapped or not.

    Raises:
        ValueError: a part is missing, or has more than a weight, a bias and plain LoRA.
    """
    places = _places(model)
    original: dict[str, Tensor] = {}
    parts: dict[str, dict[str, Tensor]] = {}
    for key, tensor in state_dict.items():
        place, rest = _divided(key, places)
        name, _, kind = rest.partition(".")
        if place and name in places[place][1]:
            fused = key.removesuffix(rest) + kind
            parts.setdefault(fused, {})[name] = tensor
            original[fused] = tensor  # keeps the order
        else:
            original[key] = tensor
    for key, tensors in parts.items():
        place, kind = _divided(key, places)
        layer, sizes = places[place]
        if kind.startswith("lora_A.") and kind.endswith("weight"):
            ordered = [tensors[name] for name in sizes if name in tensors]
            original[key] = torch.cat(ordered)
        elif kind.startswith("lora_B.") and kind.endswith("weight"):
            original[key] = _joined(_diagonal(tensors, sizes), sizes, 0)
        elif kind not in ("weight", "bias"):
            raise ValueError(f"{key} has no counterpart in the original")
        elif missing := [name for name in sizes if name not in tensors]:
            raise ValueError(f"{key} lacks its parts {', '.join(missing)}")
        else:
            whole = _joined(tensors, sizes, 0)
            original[key] = _rows(layer, whole) if kind == "weight" else whole
    return original


def to_unwrapped(
    state_dict: Mapping[str, Tensor], model: nn.Module
) -> dict[str, Tensor]:
    """The way back: ``state_dict`` of the original, or of a LoRA on it, cut in parts.

    A LoRA keeps its rank and its alpha, and becomes one for each part.

    Raises:
        ValueError: a fused layer has more than a weight, a bias and plain LoRA.
    """
    places = _places(model)
    parts: dict[str, Tensor] = {}
    for key, tensor in state_dict.items():
        place, kind = _divided(key, places)
        layer, sizes = places.get(place, (None, {}))
        if not place or kind.partition(".")[0] in sizes:
            parts[key] = tensor
            continue
        if kind.startswith("lora_A.") and kind.endswith("weight"):
            tensors = {name: tensor.clone() for name in sizes}
        elif kind == "bias" or (kind.startswith("lora_B.") and kind.endswith("weight")):
            tensors = _cut(tensor, sizes)
        elif kind == "weight":
            tensors = _cut(_rows(layer, tensor), sizes)
        else:
            raise ValueError(f"{key} cannot be cut into {', '.join(sizes)}")
        before = key.removesuffix(kind)
        parts.update((f"{before}{name}.{kind}", part) for name, part in tensors.items())
    return parts


def original_config(
    config: Mapping[str, Any], state_dict: Mapping[str, Tensor], model: nn.Module
) -> dict[str, Any]:
    """The ``adapter_config.json`` for what :func:`to_original` makes of a LoRA.

    Ranks and alphas of fused layers are set so that the adapter does what it did.

    Args:
        config: what ``adapter_config.json`` says of the LoRA on the unwrapped model.
        state_dict: that LoRA, not yet converted.
        model: the model, unwrapped or not.

    Raises:
        ValueError: layers have ranks or alphas of their own already.
    """
    if config.get("rank_pattern") or config.get("alpha_pattern"):
        raise ValueError("rank_pattern and alpha_pattern are not converted")
    places = _places(model)
    targets: dict[str, int] = {}
    for path in {key.partition(".lora_")[0] for key in state_dict if ".lora_" in key}:
        place, part = _divided(path, places)
        inside = bool(place) and part in places[place][1]
        target = place if inside else path.removeprefix("base_model.model.")
        targets[target] = targets.get(target, 0) + 1
    counts = {path: count for path, count in targets.items() if path in places}
    power = 0.5 if config.get("use_rslora") else 1
    return {
        **config,
        "target_modules": sorted(targets),
        "layers_to_transform": None,
        "layers_pattern": None,
        "rank_pattern": {path: config["r"] * count for path, count in counts.items()},
        "alpha_pattern": {
            path: config["lora_alpha"] * count**power for path, count in counts.items()
        },
    }


def _fused(model: nn.Module) -> dict[str, tuple[Any, dict[int, dict[str, int]]]]:
    """The layers that are to be split, with the layouts that are known of each."""
    return {
        f"{path}.{name}".removeprefix("."): (child, layouts)
        for path, caller in model.named_modules(remove_duplicate=False)
        for name, child in caller._modules.items()
        if (layouts := PARTS.get(f"{type(caller).__name__}.{name}")) is not None
        and child is not None
        and not isinstance(child, SplitLinear)
    }


def _split(model: nn.Module) -> dict[str, SplitLinear]:
    """The layers that are split."""
    return {
        path: module
        for path, module in model.named_modules()
        if isinstance(module, SplitLinear)
    }


def _places(model: nn.Module) -> dict[str, tuple[Any, dict[str, int]]]:
    """Where fused layers are, or were: the layer and the rows of its parts in turn."""
    places: dict[str, tuple[Any, dict[str, int]]] = {}
    for path, (layer, layouts) in _fused(model).items():
        layer = getattr(layer, "base_layer", layer)  # where it carries an adapter
        places[path] = layer, _sizes(path, layer, layouts)
    for path, module in model.named_modules(remove_duplicate=False):
        if isinstance(module, SplitLinear):
            places[path] = module.fused, module.sizes
    return {
        path.removeprefix("base_model.model."): place for path, place in places.items()
    }


def _sizes(
    path: str, layer: Any, layouts: Mapping[int, dict[str, int]]
) -> dict[str, int]:
    """The rows of each part of a layer in turn, after a look at the layer."""
    if {name for name, _ in layer.named_parameters()} - {"weight", "bias"}:
        raise ValueError(
            f"{path} has more than a weight and a bias: unwrap before adding adapters"
        )
    if layer.weight.ndim != 2 or not layer.weight.is_floating_point():
        raise ValueError(f"{path} is quantized: its rows cannot be cut")
    rows = len(_rows(layer, layer.weight))
    if rows not in layouts:
        raise ValueError(
            f"{path} has {rows} rows, and this patch is for "
            f"{' or '.join(map(str, layouts))}: make one for this model"
        )
    return layouts[rows]


def _refuse_shared(model: nn.Module, places: Iterable[str]) -> None:
    owners: dict[int, set[nn.Module]] = {}
    for module in model.modules():
        for tensor in module.parameters(recurse=False):
            owners.setdefault(id(tensor), set()).add(module)
    for path in places:
        for name, tensor in model.get_submodule(path).named_parameters(recurse=False):
            if len(owners[id(tensor)]) > 1:
                raise ValueError(f"{path}.{name} is tied to another layer's")


def _rows(layer: Any, weight: Tensor) -> Tensor:
    """A weight as ``(out, in)``, or back as ``layer`` has it: Conv1D has it turned."""
    return weight.T.contiguous() if type(layer).__name__ == "Conv1D" else weight


def _cut(tensor: Tensor, sizes: Mapping[str, int]) -> dict[str, Tensor]:
    """The rows of each part: the parts take turns, each with so many rows."""
    turns = tensor.unflatten(0, (-1, sum(sizes.values())))
    blocks = turns.split(list(sizes.values()), dim=1)
    return {
        name: block.flatten(0, 1).clone()
        for name, block in zip(sizes, blocks, strict=True)
    }


def _joined(
    tensors: Mapping[str, Tensor], sizes: Mapping[str, int], dim: int
) -> Tensor:
    """The parts as one again, along ``dim``."""
    turns = [
        tensors[name].unflatten(dim, (tensors[name].shape[dim] // size, size))
        for name, size in sizes.items()
    ]
    return torch.cat(turns, dim + 1).flatten(dim, dim + 1)


def _diagonal(
    tensors: Mapping[str, Tensor], sizes: Mapping[str, int]
) -> dict[str, Tensor]:
    """Each part's ``lora_B`` in columns of its own; nothing for parts without one."""
    ranks = {name: tensor.shape[1] for name, tensor in tensors.items()}
    some, tensor = next(iter(tensors.items()))
    turns = len(tensor) // sizes[some]
    whole, start = {}, 0
    for name, size in sizes.items():
        whole[name] = tensor.new_zeros(turns * size, sum(ranks.values()))
        if name in tensors:
            whole[name][:, start : start + ranks[name]] = tensors[name]
            start += ranks[name]
    return whole


def _detached(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach() for name, tensor in tensors.items()}
