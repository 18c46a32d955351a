"""ARC509: a name of the plan is there in some layers only, and the plan adapts nothing in its place in the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from archlint.core.blueprint import Blueprint, Kind, Site, Trait
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.refusals import is_adaptable
from archlint.core.rule import Example, Rule, quote
from archlint.core.runs import is_idle
from archlint.core.suffixes import suffixes
from archlint.core.trial import Trial


class PartialTarget(Rule):
    """A listed name exists in a part of the layers, and what stands in its place elsewhere stays frozen.

    ## What it does
    For each name in the user's list, compares the layers that have it with those that have not. Where the others
    hold projections of other names in its place (a state-space mixer, a linear attention), and the plan adapts
    none of them, that is a finding. A regular expression or a whole path is taken as a choice, and so is
    `layers_to_transform`.

    ## Why it matters
    Hybrid models alternate attention with other mixers. The usual names reach the attention of a few layers, and
    PEFT says nothing about the rest: most of the token mixing stays as it was.

    ## What to do
    Name the other mixer's projections as well, or use the recipe.
    """

    code = "ARC509"
    name = "partial-target"
    severity = Severity.WARNING
    why = "The name reaches a few layers, and what does the same work in all others stays frozen without a message."
    fires = (
        Example(
            "toy:targeting.Hybrid",
            plan={"target_modules": ["q_proj", "up_proj"]},
            at="layers.{0..2}.mixer.in_proj",
            severity=Severity.WARNING,
            says="q_proj is in 1 of 4 layers; in the others the plan adapts nothing in its place (in_proj)",
            fix=Remedy(
                "target_modules", "name what does the same work in the other layers", ["q_proj", "up_proj", "in_proj"]
            ),
        ),
        Example("toy:targeting.Hybrid", severity=Severity.INFO),
    )
    silent = (
        Example("toy:targeting.Hybrid", plan={"target_modules": ["q_proj", "in_proj"]}),
        Example("toy:targeting.Hybrid", plan={"target_modules": ["up_proj"]}),
        Example("toy:targeting.Hybrid", plan={"target_modules": r".*\.q_proj"}),
        Example("toy:targeting.Hybrid", plan={"target_modules": "all-linear"}),
        Example("toy:projections.Dense", plan={"target_modules": ["q_proj"]}),
    )

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        for trial in blueprint.trials:
            for gap in _gaps(blueprint, trial):
                others = ", ".join(dict.fromkeys(site.leaf for site in gap.frozen))
                verb = "are" if len(gap.names) > 1 else "is"
                yield self.finding(
                    f"{', '.join(gap.names)} {verb} in {gap.present} of {gap.layers} layers; in the others the plan "
                    f"adapts nothing in its place ({others})",
                    sites=gap.frozen,
                    severity=Severity.WARNING if trial is blueprint.plan else Severity.INFO,
                    evidence=Evidence.INJECTED,
                    remedies=list(_remedies(blueprint, trial, gap.frozen)) if trial is blueprint.plan else [],
                    proof=[quote(trial)],
                )


@dataclass(frozen=True, slots=True)
class _Gap:
    """Names that some layers of a stack have, and the projections that do their work in the others."""

    names: tuple[str, ...]
    present: int
    layers: int
    frozen: tuple[Site, ...]


_Stack = Mapping[str, Mapping[str, Site]]
"""The layers of a list by their index; of each, its projections by the path inside the layer."""


def _gaps(blueprint: Blueprint, trial: Trial) -> Iterator[_Gap]:
    lora = trial.plan.lora
    if isinstance(lora.get("target_modules"), (str, type(None))) or lora.get("layers_to_transform") is not None:
        return
    adapted = frozenset(trial.adapted)
    for stack in _stacks(blueprint):
        groups: dict[frozenset[str], list[str]] = {}
        for entry in trial.entries:
            if entry.setting == "target_modules" and not any(part.isdigit() for part in entry.value.split(".")):
                reached = frozenset(entry.reaches) & adapted
                layers = (
                    index for index, layer in stack.items() if any(site.path in reached for site in layer.values())
                )
                groups.setdefault(frozenset(layers), []).append(entry.value)
        gaps: dict[tuple[Site, ...], tuple[list[str], set[str]]] = {}
        for having, names in groups.items():
            frozen = tuple(_frozen(stack, having, adapted)) if having else ()
            same_names, same_layers = gaps.setdefault(frozen, ([], set()))
            same_names += names
            same_layers |= having
        for frozen, (all_names, all_layers) in gaps.items():
            if frozen:
                yield _Gap(tuple(all_names), len(all_layers), len(stack), frozen)


def _frozen(stack: _Stack, having: frozenset[str], adapted: frozenset[str]) -> Iterator[Site]:
    """The projections of the other layers that no layer of ``having`` has, where none of a layer's is adapted."""
    known = {place for index in having for place in stack[index]}
    for index, layer in stack.items():
        other = [site for place, site in layer.items() if place not in known]
        if index not in having and not any(site.path in adapted for site in other):
            yield from other


def _stacks(blueprint: Blueprint) -> Iterable[_Stack]:
    stacks: dict[str, dict[str, dict[str, Site]]] = {}
    for site in blueprint.projections:
        parts = site.path.split(".")
        place = next((n for n, part in enumerate(parts) if part.isdigit()), None)
        counts = site.kind is not Kind.FUSED_EXPERTS and not is_idle(blueprint.baseline, site)
        if place is not None and counts:
            layer = stacks.setdefault(".".join(parts[:place]), {}).setdefault(parts[place], {})
            layer[".".join(parts[place + 1 :])] = site
    return stacks.values()


def _remedies(blueprint: Blueprint, trial: Trial, frozen: Sequence[Site]) -> Iterator[Remedy]:
    wanted = [site.path for site in frozen if is_adaptable(blueprint, site.path) and Trait.BYPASSED not in site.traits]
    paths = {site.path for site in blueprint.projections}
    others = {site.path for site in blueprint.sites if not site.is_parameter and site.path not in paths}
    names = suffixes(wanted, others)
    if names:
        targets = [*trial.plan.lora["target_modules"], *names]
        plan = {**trial.plan.lora, "target_modules": targets}
        yield Remedy("target_modules", "name what does the same work in the other layers", targets, plan=plan)
    yield Remedy("target_modules", "or name all that the scope has: the recipe below", by_recipe=True)
