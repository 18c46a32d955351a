"""Layers that look like a linear and are none: kept from PEFT, and adapted by a linear inside where they have one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

from torch import nn

from archlint.core.blueprint import Blueprint, Kind, Operation, Role, Site, Trait
from archlint.core.rule import by_class
from archlint.core.surgery import Difference, Effect, Way
from archlint.proving import Prover
from archlint.running import NoSmallCopyError, batches, small_copy
from archlint.surgery.composing import composed
from archlint.surgery.measuring import NotPossibleError, Surgery, measure
from archlint.surgery.option import Option
from archlint.surgery.patch import Patch
from archlint.surgery.real import NoInputError, real
from archlint.surgery.replaying import Call, Replay, calls, compare
from archlint.surgery.templates import products, shared, shielded

_TEMPLATES = (shielded, shared, products)
_COMMENT = "The classes of the layers, and whether they multiply as a linear does."


def options(model: nn.Module, blueprint: Blueprint, prover: Prover) -> list[Option]:
    """One for each class of layers that are a linear by type or by weight, and are none to LoRA.

    Args:
        model: on the meta device.
        prover: of ``model``.
    """
    copied = _Copy(model, blueprint)
    return [_option(model, sites, copied) for sites in by_class(_sites(model, blueprint))]


def _sites(model: nn.Module, blueprint: Blueprint) -> Iterator[Site]:
    """Subclasses of ``nn.Linear`` that are none to LoRA, and routers with a matrix of their own."""
    for site in blueprint.sites:
        if site.role is Role.HEAD or any(weight.tied_to for weight in site.weights):
            continue
        if site.is_parameter:
            if site.kind is Kind.ROUTER and site.leaf == "weight" and site.parent in blueprint.by_path:
                yield blueprint.by_path[site.parent]
        elif _misleads(site) and isinstance(model.get_submodule(site.path), nn.Linear):
            yield site


def _misleads(site: Site) -> bool:
    """Whether a layer that inherits from a known one does not map ``(…, in_features)`` to ``(…, out_features)``."""
    shaped = Trait.LINEAR_SHAPED in site.traits and Trait.RETURNS_TUPLE not in site.traits
    return Trait.OWN_FORWARD in site.traits and not shaped


class _Copy:
    """A small copy of a model, which is made when it is first needed."""

    def __init__(self, model: nn.Module, blueprint: Blueprint) -> None:
        self._model = model
        self._batches = partial(batches, blueprint=blueprint)

    def call(self, name: str) -> Call:
        """A call of a module of the class ``name``.

        Raises:
            NotPossibleError: there is none.
        """
        if name not in self._calls:
            raise NotPossibleError("it takes no input that was tried, and is not called when a small copy is run")
        return self._calls[name]

    @cached_property
    def _calls(self) -> dict[str, Call]:
        try:
            small = small_copy(self._model, self._batches)
        except NoSmallCopyError:
            return {}
        return calls(small, self._batches(small), lambda module: type(module).__name__)


def _option(model: nn.Module, sites: Sequence[Site], copied: _Copy) -> Option:
    name = sites[0].type.name
    layer = model.get_submodule(sites[0].path)
    lacks = []
    try:
        call = _call(layer, name, copied)
        for multiplies in (True, False) if isinstance(layer, nn.Linear) else (True,):
            try:
                effect, flips = _effect(call, name, multiplies)
            except NotPossibleError as error:
                lacks.append(str(error))
                continue
            return Option(
                Operation(Way.SHIELD, tuple(sites), effect),
                _TEMPLATES,
                _constants(name, multiplies),
                "{}.linear" if multiplies else "",
                tuple(_notes(sites, multiplies, flips)),
            )
    except NotPossibleError as error:
        lacks.append(str(error))
    return Option(Operation(Way.SHIELD, tuple(sites), lack=lacks[0]))


def _call(layer: nn.Module, name: str, copied: _Copy) -> Call:
    """What the layer can be tried with: a call with one tensor, or one that the model makes."""
    weight = layer._parameters.get("weight")
    if weight is None:
        raise NotPossibleError("it has no weight of its own")
    try:
        specimen = real(layer, weight.shape[-1])
    except NoInputError:
        return copied.call(name)
    (given,) = specimen.given
    return Replay(specimen.module), given


def _effect(call: Call, name: str, multiplies: bool) -> tuple[Effect, bool]:
    """What it changes; and whether the rounding of a merged weight, in bfloat16, makes the layer choose otherwise.

    Raises:
        NotPossibleError: it does not work, or changes what the layer computes.
    """
    patch = Patch(composed("A trial.", {**_constants(name, multiplies), "MADE_FOR": ("", "")}, _TEMPLATES))
    if not multiplies:
        compare(call, patch, rewrapped=False)
        return Effect(), False
    surgery = Surgery(patch.function("unwrap"), patch.function("rewrap"), target="{}.module.linear")
    effect = measure(*call, surgery)
    if effect.forward != Difference() or effect.training != Difference():
        raise NotPossibleError("it does something else with its weight than to multiply by it")
    if effect.merged.half and not effect.merged.single:
        compare(call, patch, rewrapped=True)
        return replace(effect, merged=Difference()), True
    return effect, False


def _constants(name: str, multiplies: bool) -> dict[str, tuple[dict[str, Any], str]]:
    return {"LAYERS": ({name: multiplies}, _COMMENT)}


def _notes(sites: Sequence[Site], multiplies: bool, flips: bool) -> Iterator[str]:
    if not multiplies:
        yield "PEFT adapts these layers no longer: all-linear passes them by, and their names are refused."
        return
    excluded = ", ".join(f'"{name}.linear"' for name in dict.fromkeys(site.leaf for site in sites))
    yield f"all-linear reaches the linears inside too: exclude_modules=[{excluded}] leaves them out."
    if flips:
        yield (
            "Merging rounds the weight: in bfloat16 they then choose otherwise where two are nearly as good, with or"
            " without this file."
        )
    yield (
        "A plain LoRA of them is one for the original too: to_original and original_config make it one for"
        " target_parameters, with the same product."
    )
