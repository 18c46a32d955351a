"""Stacked experts as one linear for each matrix of each expert: where their code lets that be done, and its price."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn

from archlint.core.blueprint import Blueprint, Kind, Operation, Site
from archlint.core.rule import by_class
from archlint.core.surgery import Difference, Effect, Way
from archlint.proving import Prover
from archlint.running import NoSmallCopyError, batches, one_thread, small_copy
from archlint.surgery.composing import composed
from archlint.surgery.measuring import NotPossibleError, Surgery, measure, worst
from archlint.surgery.option import Option
from archlint.surgery.patch import Patch
from archlint.surgery.replaying import Call, calls, compare
from archlint.surgery.templates import experts, products, shared

_TEMPLATES = (experts, shared, products)
_COMMENT = "The classes of experts, and of each of their stacks how a matrix lies in it."
_LAYOUTS = ("out, in", "in, out")


def options(model: nn.Module, blueprint: Blueprint, prover: Prover) -> list[Option]:
    """One for each class of stacked experts that ``model`` has; stacks that cannot be had are one by themselves.

    Args:
        model: on the meta device.
        prover: of ``model``.
    """
    classes = by_class(blueprint.select(Kind.FUSED_EXPERTS, where=lambda site: site.is_parameter))
    if not classes:
        return []
    try:
        making = partial(batches, blueprint=blueprint)
        small = small_copy(model, making)
    except NoSmallCopyError as error:
        return [
            _lacking(sites, f"no small copy of the model shows how they are computed: {error}") for sites in classes
        ]
    names = {sites[0].type.name for sites in classes}
    found = calls(small, making(small), lambda module: name if (name := type(module).__name__) in names else None)
    return [option for sites in classes for option in _of_class(model, sites, found.get(sites[0].type.name))]


def _of_class(model: nn.Module, sites: Sequence[Site], call: Call | None) -> Iterator[Option]:
    if call is None:
        yield _lacking(sites, "they are not called when a small copy of the model is run")
        return
    name = sites[0].type.name
    lies: dict[str, str] = {}
    lacks: dict[str, str] = {}
    for stack in dict.fromkeys(site.leaf for site in sites):
        try:
            lies[stack] = _lie(call, name, stack)
        except NotPossibleError as error:
            lacks[stack] = str(error)
    for stack, lack in lacks.items():
        yield _lacking([site for site in sites if site.leaf == stack], lack)
    chosen = tuple(site for site in sites if site.leaf in lies)
    if not chosen:
        return
    try:
        effect, at_once = _effect(call, name, lies)
    except NotPossibleError as error:
        yield _lacking(chosen, str(error))
        return
    count = max(site.weights[0].shape[0] for site in chosen)
    yield Option(
        Operation(Way.EXPERTS, chosen, effect),
        _TEMPLATES,
        _constants(name, lies),
        ",".join(f"{{}}.expert{index}" for index in range(count)),
        tuple(_notes(model, chosen, at_once)),
    )


def _lacking(sites: Sequence[Site], lack: str) -> Option:
    return Option(Operation(Way.EXPERTS, tuple(sites), lack=lack))


def _lie(call: Call, name: str, stack: str) -> str:
    """How the matrices lie in a stack: by which of both the experts' code still runs when linears stand for them.

    Raises:
        NotPossibleError: by none.
    """
    reasons = []
    for lie in _LAYOUTS:
        try:
            used, _ = _used(call, _patch(name, {stack: lie}))
        except NotPossibleError as error:
            reasons.append(str(error))
        else:
            if stack in used:
                return lie
            reasons.append("no expert gets a token when a small copy of the model is run")
    raise NotPossibleError(reasons[0])


def _used(call: Call, patch: Patch) -> tuple[dict[str, str], bool]:
    """A linear of each stack that gets rows when the experts are computed, and whether all are multiplied at once.

    Raises:
        NotPossibleError: the experts' code raises something.
    """
    replay, given = copy.deepcopy(call)
    unwrap, stack_class = patch.function("unwrap"), patch.module.Stack
    assert unwrap is not None
    used: dict[str, str] = {}
    at_once: list[nn.Module] = []
    try:
        with one_thread(), torch.no_grad():
            unwrap(replay)
            for name, stack in replay.module.named_children():
                if isinstance(stack, stack_class):
                    stack.register_forward_pre_hook(lambda stack, _: at_once.append(stack))
                    for path, linear in stack.named_children():
                        linear.register_forward_pre_hook(partial(_note, used, name, path))
            replay(given)
    except Exception as error:  # a model's code raises whatever it is led to
        raise NotPossibleError(f"{type(error).__name__}: {' '.join(str(error).split())}") from error
    return used, bool(at_once)


def _note(used: dict[str, str], name: str, path: str, _: nn.Module, args: tuple[Any, ...]) -> None:
    if args[0].numel():
        used.setdefault(name, path)


def _effect(call: Call, name: str, lies: Mapping[str, str]) -> tuple[Effect, bool]:
    """What it changes, whichever stack is trained; and whether all experts are multiplied at once.

    Raises:
        NotPossibleError: it does not work.
    """
    patch = _patch(name, lies)
    used, at_once = _used(call, patch)
    effects = []
    for stack, linear in used.items():
        target = f"{{}}.module.{stack}.{linear}"
        surgery = Surgery(patch.function("unwrap"), patch.function("rewrap"), target=target)
        effects.append(measure(*call, surgery, rounded=True))
    effect = worst(effects)
    if effect.merged.half and not effect.merged.single:  # bfloat16 rounds a weight that something is added to
        compare(call, patch, rewrapped=True)
        effect = replace(effect, merged=Difference())
    return effect, at_once


def _patch(name: str, lies: Mapping[str, str]) -> Patch:
    return Patch(composed("A trial.", {**_constants(name, lies), "MADE_FOR": ("", "")}, _TEMPLATES))


def _constants(name: str, lies: Mapping[str, str]) -> dict[str, tuple[dict[str, Any], str]]:
    return {"STACKS": ({name: dict(lies)}, _COMMENT)}


def _notes(model: nn.Module, sites: Sequence[Site], at_once: bool) -> Iterator[str]:
    linears = sum(site.weights[0].shape[0] for site in sites)
    largest = max(_bytes(site) for site in sites)
    yield (
        f"There will be {linears:,} linears, whose weights stay where they are, {_read(sum(map(_bytes, sites)))} in"
        f" stacks. A stack whose weights were moved or cast meanwhile is copied when it is stacked again:"
        f" {_read(largest)} at a time."
    )
    rank = sum(site.weights[0].shape[0] * sum(site.weights[0].shape[1:]) for site in sites)
    yield f"A LoRA on all of them has {rank:,} parameters for each rank."
    if at_once:
        yield "Their code multiplies all experts at once: one after the other, sums may be rounded otherwise."
    if _is_told(model, sites[0]):
        yield (
            'Experts are computed one after the other while unwrapped, as with experts_implementation="eager", which'
            " unwrap sets: where another was set, sums may be rounded otherwise, and training is slower."
        )
    yield (
        "Experts without a token in a batch give their adapters no gradient: tell DistributedDataParallel to find"
        " unused parameters."
    )
    yield (
        "PEFT may read all-linear and patterns by the last part of a name, here expert0 and so on: all stacks then"
        " get adapters."
    )
    yield (
        "A plain LoRA of the linears is one for the original too: to_original and original_config make it one for"
        " target_parameters, with the same products."
    )


def _is_told(model: nn.Module, site: Site) -> bool:
    """Whether transformers can be told how to compute the experts."""
    config = getattr(model.get_submodule(site.parent), "config", None)
    return hasattr(config, "_experts_implementation")


def _bytes(site: Site) -> int:
    dtype: torch.dtype = getattr(torch, site.weights[0].dtype)
    return site.weights[0].size * dtype.itemsize


def _read(size: int) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size = round(size / 1000)
    return f"{size:,} {unit}"
