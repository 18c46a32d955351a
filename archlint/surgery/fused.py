"""Fused projections as one linear for each of their parts: which rows are whose, and what splitting them changes."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from archlint.core.blueprint import Blueprint, Kind, Operation, Role, Scope, Site, Trait
from archlint.core.surgery import Difference, Effect, Way
from archlint.proving import Prover
from archlint.running import Batch
from archlint.running.step import forward
from archlint.surgery.composing import composed
from archlint.surgery.following import Rows, Trail, followed
from archlint.surgery.measuring import NotPossibleError, Surgery, measure, worst
from archlint.surgery.option import Option
from archlint.surgery.patch import Patch
from archlint.surgery.templates import shared, split, swapping

_TEMPLATES = (split, shared, swapping)
_COMMENT = "By caller and attribute, then by the rows of the layer: the rows of each part in turn."
_NOTES = (
    "The outputs are the same up to rounding: products of other shapes may add up in another order.",
    "Each layer is cut at the rows that it has in this model; one of another size is refused.",
    "The parts are copies: for the moment of its cutting one layer is in memory twice.",
    "What to_original makes of a plain LoRA is one of the fused layers that does the same, with the ranks of the parts"
    " added up: original_config makes its adapter_config.json. Other adapters are not converted.",
)
_SHORT = {"query": "q", "key": "k", "value": "v", "queries": "q", "keys": "k", "values": "v"}
_TURNS = 2
"""Of the layer that is measured, at most."""
_FEW = 8
"""Of what the rows of its parts are multiples of, and of these multiples, at most so many."""
_SEED = 0

_Layout = dict[str, int]
"""The rows of each part in turn."""


class _NoPartsError(Exception):
    """A layer cannot be split; the message says why."""


def options(model: nn.Module, blueprint: Blueprint, prover: Prover) -> list[Option]:
    """One for each attribute of each class that takes apart what the layer there gives.

    Args:
        model: on the meta device.
        prover: of ``model``; it runs the model as short as shows all kinds of layers.
    """
    callers: dict[tuple[str, str], list[Site]] = {}
    fused = blueprint.select(
        Kind.LINEAR,
        Kind.LINEAR_SUBCLASS,
        Kind.CONV1D,
        trait=Trait.FUSED,
        where=lambda site: site.role is not Role.HEAD,  # a head's output is taken apart for the loss
    )
    for site in fused:
        callers.setdefault((type(model.get_submodule(site.parent)).__name__, site.leaf), []).append(site)
    taken = {attribute for _, attribute in callers}
    return [
        _option(model, _running(blueprint, prover, sites), caller, sites, taken) for caller, sites in callers.items()
    ]


def _running(blueprint: Blueprint, prover: Prover, sites: Sequence[Site]) -> list[Prover]:
    """What runs the parts of the model that ``sites`` are in."""
    roles = {site.role for site in sites}
    scopes = [blueprint.scope, *Scope]
    covering = (next((scope for scope in scopes if scope.covers(role)), blueprint.scope) for role in roles)
    return [prover.scoped(scope) for scope in dict.fromkeys(covering)]


def _trails(model: nn.Module, batch: Batch, caller: tuple[str, str]) -> list[Trail]:
    name, attribute = caller
    callers = {
        layer: module
        for module in model.modules()
        if type(module).__name__ == name and (layer := module._modules.get(attribute)) is not None
    }
    with torch.no_grad(), followed(callers) as trails:
        _run(model, batch)
    return list(trails.values())


def _run(model: nn.Module, batch: Batch) -> None:
    forward(model, batch, next(model.parameters()).device.type)


def _option(
    model: nn.Module, provers: Sequence[Prover], caller: tuple[str, str], sites: Sequence[Site], taken: Collection[str]
) -> Option:
    try:
        seen = [prover.observe(lambda cut, batch: _trails(cut, batch, caller)) or [] for prover in provers]
        layouts = _layouts(sites, list(chain(*seen)), taken)
        effect = _effect(model.get_submodule(sites[0].path), _shape(sites[0])[1], caller, layouts)
        for prover in provers:
            _prove(prover, _patch(caller, layouts))
    except (_NoPartsError, NotPossibleError) as error:
        return Option(Operation(Way.SPLIT, tuple(sites), lack=str(error)))
    names = dict.fromkeys(name for layout in layouts.values() for name in layout)
    return Option(
        Operation(Way.SPLIT, tuple(sites), effect),
        _TEMPLATES,
        _constants(caller, layouts),
        ",".join("{}." + name for name in names),
        _NOTES,
    )


def _layouts(sites: Sequence[Site], trails: Sequence[Trail], taken: Collection[str]) -> dict[int, _Layout]:
    """By the number of a layer's rows, the rows of each part in turn.

    Args:
        taken: names that no part may have. PEFT finds layers by the ends of their paths, and a layer that is split
            is none that it knows.

    Raises:
        _NoPartsError: a layer is not followed, or is not made of parts.
    """
    if any(Trait.BYPASSED in site.traits for site in sites):
        raise _NoPartsError("its weight is read, and it is never called")
    if any(weight.tied_to for site in sites for weight in site.weights):
        raise _NoPartsError("its weight is tied to another layer's")
    layouts: dict[int, _Layout] = {}
    for trail in trails:
        layout = _layout(trail, taken)
        if layouts.setdefault(trail.rows, layout) != layout:
            raise _NoPartsError(f"layers with {trail.rows} rows are taken apart in several ways")
    missing = {rows for site in sites if (rows := _shape(site)[0]) not in layouts}
    if missing:
        raise _NoPartsError("it is not called when the model is run here, or only in another size")
    return {rows: layouts[rows] for rows in sorted({_shape(site)[0] for site in sites})}


def _shape(site: Site) -> tuple[int, int]:
    """Rows and columns of a layer's weight, as ``(out, in)``."""
    ((one, other),) = (weight.shape for weight in site.weights if weight.name == "weight")
    return (other, one) if site.kind is Kind.CONV1D else (one, other)


def _layout(trail: Trail, taken: Collection[str]) -> _Layout:
    """The rows of each part in turn.

    Raises:
        _NoPartsError: there are no parts, a row is in none or in several, or their order has no period.
    """
    parts = trail.largest
    if not parts:
        raise _NoPartsError("its output is computed with before it is taken apart, as far as was seen")
    if sum(len(rows) for rows, _ in parts) > len(frozenset().union(*(rows for rows, _ in parts))):
        raise _NoPartsError("some of its rows are in several parts")
    owner = {row: index for index, (rows, _) in enumerate(parts) for row in rows}
    if len(owner) < trail.rows:
        raise _NoPartsError(f"{trail.rows - len(owner)} of its {trail.rows} rows are in no part")
    sizes = _sizes([owner[row] for row in range(trail.rows)], len(parts))
    return dict(zip(_names(parts, taken), sizes, strict=True))


def _sizes(owners: list[int], count: int) -> list[int]:
    """How many rows each of ``count`` parts has in turn, in the shortest turn that repeats."""
    whole = len(owners)
    turn = next(n for n in range(1, whole + 1) if whole % n == 0 and owners == owners[:n] * (whole // n))
    starts = [row for row in range(turn) if row == 0 or owners[row] != owners[row - 1]]
    if len(starts) != count:
        raise _NoPartsError("the rows of its parts are mixed")
    return [end - start for start, end in zip(starts, [*starts[1:], turn], strict=True)]


def _names(parts: Sequence[tuple[Rows, str]], taken: Collection[str]) -> list[str]:
    """A name for each part: after what the caller calls it, where that is a name of its own."""
    stems = [re.sub(r"_(states?|layers?|proj)$", "", variable.strip("_")) for _, variable in parts]
    names: list[str] = []
    for index, stem in enumerate(stems):
        wanted = (f"{_SHORT.get(stem, stem)}_proj", f"{stem}_proj") if stem and stems.count(stem) == 1 else ()
        names.append(next((name for name in wanted if name not in (*taken, *names)), f"part_{index}"))
    return names


def _prove(prover: Prover, patch: Patch) -> None:
    """Run the model with the patch.

    Raises:
        NotPossibleError: it raises something.
    """

    def run(model: nn.Module, batch: Batch) -> str:
        unwrap = patch.function("unwrap")
        assert unwrap is not None
        try:
            unwrap(model)
            with torch.no_grad():
                _run(model, batch)
        except Exception as error:  # a model's code raises whatever it is led to
            return f"{type(error).__name__}: {' '.join(str(error).split())}"
        return ""

    if raised := prover.observe(run):
        raise NotPossibleError(f"the model does not run with it: {raised}")


def _effect(layer: nn.Module, width: int, caller: tuple[str, str], layouts: Mapping[int, _Layout]) -> Effect:
    """What splitting a small layer like ``layer`` changes, in any of its layouts and whichever part is trained.

    Raises:
        NotPossibleError: the class of the layer does more than multiply and add, or no adapter has an effect.
    """
    cls = type(caller[0], (_Caller,), {"attribute": caller[1]})
    effects = []
    for rows, layout in layouts.items():
        sizes = _small_layout(layout)
        few = sum(sizes.values()) * min(rows // sum(layout.values()), _TURNS)
        patch = _patch(caller, {few: sizes})
        unwrap, rewrap = patch.function("unwrap"), patch.function("rewrap")
        for name in sizes:
            surgery = Surgery(unwrap=unwrap, rewrap=rewrap, target=f"{{}}.{caller[1]}.{name}")
            effects.append(measure(cls(_small_layer(layer, few)), _given(width), surgery, rounded=True))
    effect = worst(effects)
    if effect.forward != Difference():
        raise NotPossibleError(
            f"{type(layer).__name__} does more than multiply and add: its parts differ from it by"
            f" {effect.forward.single:.2g} standard deviations"
        )
    return effect


class _Caller(nn.Module):
    """Stands in for the module that calls a fused layer: it gives what the layer gives."""

    attribute = ""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.add_module(self.attribute, layer)

    def forward(self, hidden: Tensor) -> Tensor:
        output: Tensor = getattr(self, self.attribute)(hidden)
        return output


def _patch(caller: tuple[str, str], layouts: Mapping[int, _Layout]) -> Patch:
    return Patch(composed("A trial.", {**_constants(caller, layouts), "MADE_FOR": ("", "")}, _TEMPLATES))


def _constants(caller: tuple[str, str], layouts: Mapping[int, _Layout]) -> dict[str, tuple[dict[str, Any], str]]:
    return {"PARTS": ({".".join(caller): dict(layouts)}, _COMMENT)}


def _small_layout(layout: _Layout) -> _Layout:
    """A few rows for each part, in about the same proportion."""
    common = math.gcd(*layout.values())
    return {name: min(common, _FEW) * min(size // common, _FEW) for name, size in layout.items()}


def _small_layer(layer: nn.Module, rows: int) -> nn.Module:
    """A layer of the class of ``layer`` with random numbers on the processor, and so many rows."""
    small: Any = copy.deepcopy(layer).to_empty(device="cpu").float()
    random = torch.Generator("cpu").manual_seed(_SEED)
    turned = not isinstance(layer, nn.Linear)
    width = small.weight.shape[0 if turned else 1]
    weight = torch.randn((rows, width), device="cpu", generator=random) * width**-0.5
    small.weight = nn.Parameter(weight.T.contiguous() if turned else weight)
    if small.bias is not None:
        small.bias = nn.Parameter(torch.randn(rows, device="cpu", generator=random))
    setattr(small, "nf" if turned else "out_features", rows)
    return small  # type: ignore[no-any-return]


def _given(width: int) -> Tensor:
    """Tokens of a sequence."""
    return torch.randn((2, 5, width), device="cpu", generator=torch.Generator("cpu").manual_seed(_SEED))
