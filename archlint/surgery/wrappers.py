"""Ways to adapt a linear inside a wrapper: by its own name, in the wrapper's place, or through a layer of PEFT's."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Collection, Iterable, Iterator, Sequence
from types import ModuleType
from typing import Any

import torch
from torch import nn

from archlint.core.blueprint import Blueprint, Kind, Operation, Site
from archlint.core.rule import by_class
from archlint.core.surgery import Effect, Way
from archlint.proving import Prover
from archlint.running import Batch
from archlint.running.step import forward
from archlint.surgery.composing import composed
from archlint.surgery.measuring import NotPossibleError, Surgery, measure
from archlint.surgery.option import Option
from archlint.surgery.patch import Patch
from archlint.surgery.real import LIMIT, NoInputError, Specimen, real
from archlint.surgery.templates import bare, kept, registered, swapping, wrapped

_SMALL = 256
"""Features of a linear that is tried in the place of a large one."""
_TEMPLATES: dict[Way, tuple[ModuleType, ...]] = {
    Way.INNER: (),
    Way.UNWRAP: (bare, wrapped, swapping),
    Way.KEEP: (kept, wrapped, swapping),
    Way.REGISTER: (registered,),
}


def options(model: nn.Module, blueprint: Blueprint, prover: Prover) -> list[Option]:
    """Each way for each class of wrapper that ``model`` has.

    Args:
        model: on the meta device.
    """
    wrappers = by_class(site for site in blueprint.select(Kind.WRAPPER) if site.inner is not None)
    others = _others(prover, {sites[0].type.name for sites in wrappers}) if wrappers else {}
    return [option for sites in wrappers for option in _of_class(model, sites, others.get(sites[0].type.name, ()))]


def _others(prover: Prover, classes: Collection[str]) -> dict[str, Sequence[Any]]:
    """What wrappers are called with beside their input, where the model calls one of the class by position."""
    found: dict[str, Sequence[Any]] = {}

    def see(module: nn.Module, given: tuple[Any, ...]) -> None:
        found.setdefault(type(module).__name__, given[1:])

    def look(model: nn.Module, batch: Batch) -> None:
        hooks = [
            module.register_forward_pre_hook(see) for module in model.modules() if type(module).__name__ in classes
        ]
        try:
            forward(model, batch, str(next(model.parameters()).device))
        finally:
            for hook in hooks:
                hook.remove()

    prover.observe(look)
    return found


def _of_class(model: nn.Module, sites: Sequence[Site], others: Sequence[Any]) -> Iterator[Option]:
    name, inner = sites[0].type.name, _inner(sites[0])
    modules = [model.get_submodule(site.path) for site in sites]
    constants: dict[str, tuple[dict[str, Any], str]] = {
        "WRAPPERS": ({name: inner}, "The classes of the wrappers, and what each calls its linear."),
        "SETTINGS": ({name: _settings(modules)}, "With other settings they may compute something else."),
    }
    for way, templates in _TEMPLATES.items():
        target = "{}." + inner if way is Way.INNER else "{}"
        effect, lack, drawn = _tried(modules, inner, others, templates, constants, target)
        yield Option(
            Operation(way, tuple(sites), effect, lack),
            templates,
            constants,
            target,
            (f"Limits were taken as ±{LIMIT:g} standard deviations of what they bound.",) if drawn else (),
        )


def _tried(
    modules: Iterable[nn.Module],
    inner: str,
    others: Sequence[Any],
    templates: Sequence[ModuleType],
    constants: dict[str, tuple[dict[str, Any], str]],
    target: str,
) -> tuple[Effect | None, str, bool]:
    """The worst effect on one wrapper of each setting, or why there is none, and whether limits were made up."""
    surgery = Surgery(target=target)
    if templates:
        patch = Patch(composed("A trial.", {**constants, "MADE_FOR": ("", "")}, templates))
        surgery = Surgery(patch.function("unwrap"), patch.function("rewrap"), patch.function("register"), target)
    effects, drawn = [], False
    variants = {repr(_plain(module)): module for module in modules}
    for module in variants.values():
        try:
            specimen = _specimen(module, inner, others)
            drawn |= specimen.has_drawn_limits
            effects.append(measure(specimen.module, specimen.given, surgery))
        except (NoInputError, NotPossibleError) as error:
            return None, str(error), drawn
    return max(effects, key=lambda effect: (effect.forward.single, effect.merged.single)), "", drawn


def _specimen(module: nn.Module, inner: str, others: Sequence[Any]) -> Specimen:
    """``module`` with real numbers; with a small linear where its code does not mind.

    Raises:
        NoInputError: it takes no input that was tried.
    """
    linear = module.get_submodule(inner)
    assert isinstance(linear, nn.Linear)  # as the census says
    if linear.weight.numel() > _SMALL**2:
        small = copy.deepcopy(module)
        with torch.device("meta"):
            sizes = min(linear.in_features, _SMALL), min(linear.out_features, _SMALL)
            small.set_submodule(inner, nn.Linear(*sizes, bias=linear.bias is not None))
        with contextlib.suppress(NoInputError):
            return real(small, sizes[0], others)
    return real(module, linear.in_features, others)


def _inner(site: Site) -> str:
    assert site.inner is not None  # the caller looked
    return site.inner.removeprefix(f"{site.path}.")


def _plain(module: nn.Module) -> dict[str, Any]:
    """The settings of a module: attributes that are words, switches and fractions. Sizes differ by place."""
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, (bool, str, float)) and not name.startswith("_") and name != "training"
    }


def _settings(modules: Sequence[nn.Module]) -> dict[str, list[Any]]:
    """The values that each setting has among ``modules``."""
    found: dict[str, list[Any]] = {}
    for module in modules:
        for name, value in _plain(module).items():
            values = found.setdefault(name, [])
            if value not in values:
                values.append(value)
    return found
