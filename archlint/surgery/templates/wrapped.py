"""What stands in a patch file for wrappers: their linears take their places."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from torch import Tensor, nn

from archlint.surgery.templates.bare import Unwrapped
from archlint.surgery.templates.constants import MADE_FOR, SETTINGS, WRAPPERS


def unwrap(model: nn.Module) -> nn.Module:
    """Put the linear of every wrapper in its wrapper's place, and return ``model``.

    A model that is unwrapped stays as it is. Parameters stay the objects that they are. What a wrapper holds beside
    its linear goes with the linear, so that it moves with the model and is saved with it.

    Raises:
        ValueError: the model has no such wrapper, or one unlike those that this file was made for.
    """
    wrappers = {
        path: module
        for path, module in model.named_modules()
        if type(module).__name__ in WRAPPERS
    }
    if not wrappers and not _linears(model):
        raise ValueError(
            f"{type(model).__name__} has no {' or '.join(WRAPPERS)}: this patch is for {MADE_FOR}"
        )
    for path, wrapper in wrappers.items():
        _check(path, wrapper)
    linears: dict[nn.Module, nn.Module] = {}
    for wrapper in wrappers.values():
        name = WRAPPERS[type(wrapper).__name__]
        linear = linears[wrapper] = getattr(wrapper, name)
        delattr(wrapper, name)
        _move(wrapper, linear, _parts(wrapper))
        linear.__dict__["wrapper"] = (
            wrapper  # past nn.Module, which would make it a child
        )
        linear.__class__ = Unwrapped
    _replace(model, linears)
    return model


def rewrap(model: nn.Module) -> nn.Module:
    """Put every wrapper back around its linear, and return ``model``: its state dict has the original's keys again.

    Raises:
        ValueError: a linear carries an adapter, which is to be merged or unloaded first.
    """
    linears = _linears(model)
    for path in linears:
        if path.endswith("base_layer"):
            raise ValueError(
                f"{path} carries an adapter: model = model.merge_and_unload(), then rewrap(model)"
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
    """``state_dict`` of the unwrapped model, or of an adapter that was trained on it, with the original's keys.

    Args:
        state_dict: keyed as by ``model.state_dict()``, or as in PEFT's ``adapter_model.safetensors``.
        model: the model, unwrapped or not.
    """
    places = _places(model)
    return {
        _renamed(key, places, inwards=True): tensor
        for key, tensor in state_dict.items()
    }


def to_unwrapped(
    state_dict: Mapping[str, Tensor], model: nn.Module
) -> dict[str, Tensor]:
    """The way back: ``state_dict`` of the original, or of an adapter that was trained on it, for the unwrapped model."""
    places = _places(model)
    return {
        _renamed(key, places, inwards=False): tensor
        for key, tensor in state_dict.items()
    }


def _check(path: str, wrapper: nn.Module) -> None:
    linear = getattr(wrapper, WRAPPERS[type(wrapper).__name__], None)
    if type(linear) is not nn.Linear:
        raise ValueError(
            f"{path} holds {type(linear).__name__}, not nn.Linear: unwrap before adapters are added"
        )
    settings = SETTINGS[type(wrapper).__name__]
    found = {name: getattr(wrapper, name, None) for name in settings}
    if found != settings:
        raise ValueError(
            f"{path} has {found}, and this patch is for {settings}: make one for this model"
        )


def _linears(model: nn.Module) -> dict[str, nn.Module]:
    """The linears that stand in a wrapper's place."""
    return {
        path: module
        for path, module in model.named_modules()
        if isinstance(module, Unwrapped)
    }


def _places(model: nn.Module) -> dict[str, tuple[str, set[str]]]:
    """Where wrappers are, or were: the name of the linear in each, and of what the wrapper holds besides."""
    places = {}
    for path, module in model.named_modules():
        path = path.removeprefix("base_model.model.").removesuffix(".base_layer")
        if isinstance(module, Unwrapped):
            places[path] = (
                WRAPPERS[type(module.wrapper).__name__],
                _parts(module) - {"weight", "bias"},
            )
        elif type(module).__name__ in WRAPPERS:
            name = WRAPPERS[type(module).__name__]
            places[path] = name, _parts(module) - {name}
    return places


def _renamed(
    key: str, places: Mapping[str, tuple[str, set[str]]], *, inwards: bool
) -> str:
    path, rest = key.removeprefix("base_model.model."), ""
    while path and path not in places:
        path, _, part = path.rpartition(".")
        rest = f"{part}.{rest}" if rest else part
    if not path or not rest:
        return key
    before, (name, others) = key.removesuffix(rest), places[path]
    if not inwards:
        return before + rest.removeprefix(f"{name}.")
    return key if rest.partition(".")[0] in others else f"{before}{name}.{rest}"


def _parts(module: nn.Module) -> set[str]:
    """The names of a module's own parameters, buffers and children."""
    return {*module._parameters, *module._buffers, *module._modules}


def _move(source: nn.Module, target: nn.Module, names: set[str]) -> None:
    """Move parameters, buffers and children from one module to another, each under its name."""
    if taken := names & _parts(target):
        raise ValueError(
            f"{type(source).__name__} and {type(target).__name__} both have {', '.join(sorted(taken))}"
        )
    for registry in ("_parameters", "_buffers", "_modules"):
        for name in names & vars(source)[registry].keys():
            vars(target)[registry][name] = vars(source)[registry].pop(name)
    transient = names & source._non_persistent_buffers_set
    source._non_persistent_buffers_set -= transient
    target._non_persistent_buffers_set |= transient


def _replace(model: nn.Module, others: Mapping[nn.Module, nn.Module]) -> None:
    """Put other modules where some stand, at all places that they have."""
    for parent in list(model.modules()):
        for name, child in parent._modules.items():
            if child in others:
                parent._modules[name] = others[child]
