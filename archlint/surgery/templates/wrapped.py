"""What stands in a patch file for wrappers: their linears take their places."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

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
    linears: dict[nn.Module, nn.Module] = {}
    for wrapper in wrappers.values():
        name = WRAPPERS[type(wrapper).__name__]
        linear = linears[wrapper] = getattr(wrapper, name)
        delattr(wrapper, name)
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
        _move(linear, wrapper, _parts(linear) - {"weight", "bias"})
        setattr(wrapper, WRAPPERS[type(wrapper).__name__], linear)
        wrapper.training = linear.training
    _replace(model, wrappers)
    return model


@contextlib.contextmanager
def unwrapped(model: nn.Module) -> Iterator[nn.Module]:
    """Unwrap ``model`` for the length of a ``with`` block."""
    try:
        yield unwrap(model)
    finally:
        rewrap(model)


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
        if place and rest.partition(".")[0] not in others:
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


def _check(path: str, wrapper: nn.Module) -> None:
    """Refuse a wrapper that would compute something else, or that is adapted."""
    linear = getattr(wrapper, WRAPPERS[type(wrapper).__name__], None)
    if type(linear) is not nn.Linear:
        raise ValueError(
            f"{path} holds {type(linear).__name__}, not nn.Linear: "
            "unwrap before adapters are added"
        )
    if "forward" in vars(wrapper) or "forward" in vars(linear):
        raise ValueError(
            f"{path} has a forward of its own, as in a model that is spread over "
            "devices: load the model on one device"
        )
    for name, values in SETTINGS[type(wrapper).__name__].items():
        if (value := getattr(wrapper, name, None)) not in values:
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
    return {*module._parameters, *module._buffers, *module._modules}


def _move(source: nn.Module, target: nn.Module, names: set[str]) -> None:
    """Move parameters, buffers and children from one module to another."""
    if taken := names & _parts(target):
        raise ValueError(
            f"{type(source).__name__} and {type(target).__name__} both have "
            f"{', '.join(sorted(taken))}"
        )
    for registry in ("_parameters", "_buffers", "_modules"):
        for name in [name for name in vars(source)[registry] if name in names]:
            vars(target)[registry][name] = vars(source)[registry].pop(name)
    transient = names & source._non_persistent_buffers_set
    source._non_persistent_buffers_set -= transient
    target._non_persistent_buffers_set |= transient
