"""Ways to adapt a linear inside a wrapper: by its own name, in the wrapper's place, or through a layer of PEFT's."""

from __future__ import annotations

import contextlib
import copy
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from archlint.surgery.measuring import NotPossibleError, Surgery, measure, worst
from archlint.surgery.option import Option
from archlint.surgery.patch import Patch
from archlint.surgery.reaching import accessors, reached
from archlint.surgery.real import LIMIT, NoInputError, Specimen, real
from archlint.surgery.templates import bare, kept, registered, shared, swapping, wrapped
from archlint.surgery.wrapper_settings import only_linear, settings_of, variants

_SMALL = 256
"""Features of a linear that is tried in the place of a large one."""
_TEMPLATES: dict[Way, tuple[ModuleType, ...]] = {
    Way.INNER: (),
    Way.UNWRAP: (bare, wrapped, shared, swapping),
    Way.KEEP: (kept, wrapped, shared, swapping),
    Way.REGISTER: (registered,),
}


def options(model: nn.Module, blueprint: Blueprint, prover: Prover) -> list[Option]:
    """Each way for each class of wrapper that ``model`` has.

    Args:
        model: on the meta device.
    """
    sites = [site for site in blueprint.select(Kind.WRAPPER) if site.inner is not None]
    return _options(model, {site: _inner(site) for site in sites}, prover)


def lookalikes(model: nn.Module, blueprint: Blueprint, prover: Prover) -> list[Option]:
    """The same for modules that may do more around their one linear than a wrapper does, such as an activation."""
    found: dict[Site, str] = {}
    for site in blueprint.select(Kind.OTHER, where=lambda site: not site.is_parameter):
        inner = only_linear(model.get_submodule(site.path))
        if inner is not None:
            found[site] = inner
    return [option for option in _options(model, found, prover) if option.operation.effect is not None]


def _options(model: nn.Module, inner: Mapping[Site, str], prover: Prover) -> list[Option]:
    classes = by_class(inner)
    seen = _Seen(model, {model.get_submodule(site.path): _linear(model, site, inner[site]) for site in inner})
    if classes:
        prover.observe(seen.look)
    return [option for sites in classes for option in _of_class(model, sites, inner[sites[0]], seen)]


class _Seen:
    """What is seen of wrappers in a model, and where it runs.

    Args:
        inner: the wrappers, and the linear in each.
    """

    def __init__(self, model: nn.Module, inner: Mapping[nn.Module, nn.Linear]) -> None:
        self._inner = inner
        self.others: dict[str, Sequence[Any]] = {}
        """What they are called with beside their input, where the model calls one of the class by position."""
        self.places = Counter(id(parameter) for _, parameter in model.named_parameters(remove_duplicate=False))
        """How many places of the model each parameter has, by its id."""
        self.was_run = False
        """Whether the model could be run."""
        self.reached = reached(model, inner, accessors(model))
        """What the model asks of them that PEFT's layer in their place has not."""

    def look(self, model: nn.Module, batch: Batch) -> None:
        """Run ``model`` as it is, and then with no more in the wrappers' places than PEFT's layers would have."""
        device = str(next(model.parameters()).device)
        hooks = [wrapper.register_forward_pre_hook(self._note) for wrapper in self._inner]
        try:
            forward(model, batch, device)
        finally:
            for hook in hooks:
                hook.remove()
        self.was_run = True
        self.reached |= reached(model, self._inner, [lambda: forward(model, batch, device)])

    def _note(self, module: nn.Module, given: tuple[Any, ...]) -> None:
        self.others.setdefault(type(module).__name__, given[1:])


def _of_class(model: nn.Module, sites: Sequence[Site], inner: str, seen: _Seen) -> Iterator[Option]:
    name = sites[0].type.name
    modules = [model.get_submodule(site.path) for site in sites]
    constants: dict[str, tuple[dict[str, Any], str]] = {
        "WRAPPERS": ({name: inner}, "The classes of the wrappers, and what each calls its linear."),
        "SETTINGS": (
            {name: settings_of(modules, inner)},
            "What wrappers of a class have; with anything else, one is refused.",
        ),
    }
    specimens: list[Specimen] = []
    lack = ""
    try:
        specimens = [_specimen(module, inner, seen.others.get(name, ())) for module in variants(modules, inner)]
    except NoInputError as error:
        lack = str(error)
    shared = any(seen.places[id(module.get_submodule(inner)._parameters["weight"])] > 1 for module in modules)
    tied = f"{inner}.weight" if shared else ""
    drawn = any(specimen.has_drawn_limits for specimen in specimens)
    notes = tuple(_notes(drawn=drawn, was_run=seen.was_run, shared=shared))
    for way, templates in _TEMPLATES.items():
        target = "{}." + inner if way is Way.INNER else "{}"
        why = lack or (seen.reached.get(name, "") if wrapped in templates else "")
        effect, why = (None, why) if why else _tried(specimens, templates, constants, target, tied)
        yield Option(Operation(way, tuple(sites), effect, why), templates, constants, target, notes, shared)


def _notes(*, drawn: bool, was_run: bool, shared: bool) -> Iterator[str]:
    if drawn:
        yield f"Limits were taken as ±{LIMIT:g} standard deviations of what they bound."
    if not was_run:
        yield "The model was not run: whether its code asks the wrappers for their linear is not known."
    if shared:
        yield "The weight is that of another layer too, and what is merged into it changes that one as well."


def _tried(
    specimens: Iterable[Specimen],
    templates: Sequence[ModuleType],
    constants: dict[str, tuple[dict[str, Any], str]],
    target: str,
    tied: str,
) -> tuple[Effect | None, str]:
    """The worst effect on one wrapper of each kind, or why there is none."""
    surgery = Surgery(target=target)
    if templates:
        patch = Patch(composed("A trial.", {**constants, "MADE_FOR": ("", "")}, templates))
        surgery = Surgery(patch.function("unwrap"), patch.function("rewrap"), patch.function("register"), target)
    try:
        return worst([measure(each.module, each.given, surgery, tied=tied) for each in specimens]), ""
    except NotPossibleError as error:
        return None, str(error)


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


def _linear(model: nn.Module, site: Site, inner: str) -> nn.Linear:
    linear = model.get_submodule(site.path).get_submodule(inner)
    assert isinstance(linear, nn.Linear)  # as the census says
    return linear
