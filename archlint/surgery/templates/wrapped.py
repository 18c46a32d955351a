"""What stands in a patch file for wrappers: their linears take their places."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from archlint.surgery.templates.bare import Unwrapped
from archlint.surgery.templates.constants import MADE_FOR, SETTINGS, WRAPPERS
from archlint.surgery.templates.swapping import _divided, _replace


def unwrap(model: nn.Module) -> nn.Module:
    """Put the linear of every wrapper in its wrapper's place, and return ``model``.

    A model that is unwrapped stays as it is. Parameters stay the objects that they are.
    What a wrapper holds beside its linear goes with the linear, so that it moves with
    the model and is saved with it.

    Raises:
        ValueError: the model has no such wrapper, or one unlike those that this file
            was made for.
    """
    wrappers = {
        path: module
        for path, module in model.named_modules()
        if type(module).__name__ in WRAPPERS
    }
    if not wrappers and not _linears(model):
        raise ValueError(
            f"{type(model).__name__} has no {' or '.join(WRAPPERS)}: "
            f"this patch is for {MADE_FOR}"
        )
    for path, wrapper in wrappers.items():
        _check(path, wrapper)
    owners = {
        getattr(wrapper, WRAPPERS[type(wrapper).__name__]): path
        for path, wrapper in wrappers.items()
    }
    if len(owners) < len(wrappers):
        shared = min(wrappers.keys() - set(owners.values()))
        raise ValueError(f"{shared} shares its linear with another wrapper")
    linears: dict[nn.Module, nn.Module] = {}
    for wrapper in wrappers.values():
        name = WRAPPERS[type(wrapper).__name__]
        linear = linears[wrapper] = getattr(wrapper, name)
        wrapper._modules[name] = None  # keeps the place, and so the order of names
        _move(wrapper, linear, _parts(wrapper))
        linear.__dict__["wrapper"] = wrapper  # past nn.Module: it is to be no child
        linear.__class__ = Unwrapped
    _replace(model, linears)
    return model


def rewrap(model: nn.Module) -> nn.Module:
    """Put every wrapper back around its linear, and return ``model``.

    Its state dict has the original's keys again.

    Raises:
        ValueError: a linear carries an adapter: merge or unload it first.
    """
    linears = _linears(model)
    for path in linears:
        if path.endswith("base_layer"):
            raise ValueError(
                f"{path} carries an adapter: "
                "model = model.merge_and_unload(), then rewrap(model)"
            )
    wrappers: dict[nn.Module, nn.Module] = {}
    for linear in linears.values():
        wrapper = wrappers[linear] = linear.__dict__.pop("wrapper")
        linear.__class__ = nn.Linear
        others = _parts(linear) - {"weight", "bias"}
        _move(linear, wrapper, others)
        for name in others:
            delattr(linear, name)
        setattr(wrapper, WRAPPERS[type(wrapper).__name__], linear)
        wrapper.training = linear.training
    _replace(model, wrappers)
    return model


def targets(model: nn.Module) -> list[str]:
    """The paths of the linears in the wrappers' places, for ``target_modules``."""
    return list(_linears(model))


def to_original(
    state_dict: Mapping[str, Tensor], model: nn.Module
) -> dict[str, Tensor]:
    """``state_dict`` of the unwrapped model, or of an adapter on it, for the original.

    Args:
        state_dict: keyed as by ``model.state_dict()``, or as in PEFT's
            ``adapter_model.safetensors``.
        model: the model, unwrapped or not.
    """
    places = _places(model)
    original = {}
    for key, tensor in state_dict.items():
        place, rest = _divided(key, places)
        name, others = places.get(place, ("", set()))
        if place and rest.partition(".")[0] not in {name, *others}:
            key = f"{key.removesuffix(rest)}{name}.{rest}"
        original[key] = tensor
    return original


def to_unwrapped(
    state_dict: Mapping[str, Tensor], model: nn.Module
) -> dict[str, Tensor]:
    """The way back: ``state_dict`` of the original, or of an adapter on it."""
    places = _places(model)
    unwrapped = {}
    for key, tensor in state_dict.items():
        place, rest = _divided(key, places)
        if place:
            inside = rest.removeprefix(f"{places[place][0]}.")
            key = key.removesuffix(rest) + inside
        unwrapped[key] = tensor
    return unwrapped


def original_config(
    config: Mapping[str, Any], state_dict: Mapping[str, Tensor], model: nn.Module
) -> dict[str, Any]:
    """The ``adapter_config.json`` for what :func:`to_original` makes of an adapter.

    Args:
        config: what ``adapter_config.json`` says of it.
        state_dict: the adapter, converted or not.
        model: the model, unwrapped or not.
    """
    keys = to_original(state_dict, model)
    paths = {
        key.removeprefix("base_model.model.").partition(".lora_")[0] for key in keys
    }
    return {
        **config,
        "target_modules": sorted(paths),
        "exclude_modules": None,
        "layers_to_transform": None,
        "layers_pattern": None,
    }


def _check(path: str, wrapper: nn.Module) -> None:
    """Refuse a wrapper that would compute something else, or that is adapted."""
    linear = getattr(wrapper, WRAPPERS[type(wrapper).__name__], None)
    if type(linear) is not nn.Linear:
        what = "unwrap before adapters are added"
        if not hasattr(linear, "base_layer"):
            what = "quantized layers stay in their wrappers"
        raise ValueError(f"{path} holds {type(linear).__name__}, not nn.Linear: {what}")
    if wrapper._forward_hooks or wrapper._forward_pre_hooks or linear._forward_hooks:
        raise ValueError(f"{path} has hooks, which would see something else")
    if "forward" in vars(wrapper) or "forward" in vars(linear):
        raise ValueError(
            f"{path} has a forward of its own, as in a model that is spread over "
            "devices: load the model on one device"
        )
    if taken := (_parts(wrapper) - {WRAPPERS[type(wrapper).__name__]}) & _parts(linear):
        raise ValueError(f"{path} and its linear both have {', '.join(sorted(taken))}")
    for name, values in SETTINGS[type(wrapper).__name__].items():
        value: Any = wrapper
        for part in name.split("."):
            value = getattr(value, part, None)
        if isinstance(value, Tensor):
            value = "a tensor"
        elif isinstance(value, nn.Module):
            value = type(value).__name__
        if value not in values:
            raise ValueError(
                f"{path} has {name}={value!r}, and this patch is for "
                f"{' or '.join(map(repr, values))}: make one for this model"
            )


def _linears(model: nn.Module) -> dict[str, nn.Module]:
    """The linears that stand in a wrapper's place."""
    return {
        path: module
        for path, module in model.named_modules()
        if isinstance(module, Unwrapped)
    }


def _places(model: nn.Module) -> dict[str, tuple[str, set[str]]]:
    """Where wrappers are or were: what each calls its linear, and what else it has."""
    places = {}
    for path, module in model.named_modules(remove_duplicate=False):
        path = path.removeprefix("base_model.model.").removesuffix(".base_layer")
        if isinstance(module, Unwrapped):
            name = WRAPPERS[type(module.wrapper).__name__]
            places[path] = name, _parts(module) - {"weight", "bias"}
        elif type(module).__name__ in WRAPPERS:
            name = WRAPPERS[type(module).__name__]
            places[path] = name, _parts(module) - {name}
    return places


def _parts(module: nn.Module) -> set[str]:
    """The names of a module's own parameters, buffers and children."""
    registries = (module._parameters, module._buffers, module._modules)
    return {
        name
        for registry in registries
        for name, part in registry.items()
        if part is not None
    }


def _move(source: nn.Module, target: nn.Module, names: set[str]) -> None:
    """Move parameters, buffers and children; ``None`` is left in their places."""
    for registry in ("_parameters", "_buffers", "_modules"):
        for name, part in vars(source)[registry].items():
            if name in names:
                vars(target)[registry][name] = part
                vars(source)[registry][name] = None
    transient = names & source._non_persistent_buffers_set
    source._non_persistent_buffers_set -= transient
    target._non_persistent_buffers_set |= transient
