"""ARC101: a projection is wrapped in a module that is no ``nn.Linear``, and PEFT refuses it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from archlint.core.blueprint import Blueprint, Kind, Operation, Scope, Site
from archlint.core.expressions import matched
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.pattern import pattern
from archlint.core.regions import excluding, roots
from archlint.core.rule import Example, Rule, by_class, quote
from archlint.core.safety import Safety
from archlint.core.surgery import Way
from archlint.core.trial import Trial


class WrappedLinear(Rule):
    """A linear layer stands inside a wrapper whose name a plan reaches, and PEFT cannot adapt the wrapper.

    ## What it does
    Looks for modules that pass their input through exactly one inner `nn.Linear` and do little else: a clamp, a
    scale, a cast. PEFT knows layers by their type, so a target name that matches the wrapper raises, even when
    the wrapper sits in a tower that nobody wants to train. PEFT stops at the first module that it refuses: the
    finding names all wrappers of the class, as the next one would be refused too.

    ## Why it matters
    One wrapped projection stops the whole adapter: `get_peft_model` raises before training starts.

    ## What to do
    Keep the plan away from the wrappers (the recipe does), or name the inner linear: a regular expression that
    ends in the inner layer's name reaches it and leaves the wrapper's arithmetic as it is. `all-linear` goes by
    type and reaches the inner layers too, along with every other linear of the model.

    Where the wrappers' own names are needed, `archlint patch` writes a file that takes the wrappers off after
    loading and puts them back, or has PEFT adapt them as they are. It measures what each way changes, and calls it
    exact or lossy.
    """

    code = "ARC101"
    name = "wrapped-linear"
    severity = Severity.ERROR
    why = "PEFT adapts nn.Linear, not what is wrapped around it: get_peft_model raises and nothing is trained."
    fires = (
        Example(
            "toy:projections.Wrapped",
            plan={"target_modules": ["q_proj"]},
            at="layers.{0,1}.q_proj",
            severity=Severity.ERROR,
            says="ClampedLinear is no nn.Linear; PEFT refuses it",
            fix=Remedy(
                "target_modules",
                "or adapt what the plan names, and in place of the wrappers the linears inside",
                ".*\\.q_proj\\.linear",
            ),
        ),
        Example("google/gemma-4-E2B-it", severity=Severity.ERROR),
    )
    silent = (Example("toy:projections.Dense"), Example("toy:projections.Wrapped", plan={"target_modules": ["o_proj"]}))

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        for sites in by_class(blueprint.select(Kind.WRAPPER)):
            paths = frozenset(site.path for site in sites)
            broken = [trial for trial in blueprint.trials if trial.refuses(paths)]
            if broken:
                yield self.finding(
                    f"{sites[0].type.name} is no nn.Linear; PEFT refuses it",
                    sites=sites,
                    evidence=Evidence.INJECTED,
                    remedies=_remedies(blueprint, broken[0], sites),
                    proof=[quote(trial) for trial in broken],
                )


def _remedies(blueprint: Blueprint, trial: Trial, sites: Sequence[Site]) -> list[Remedy]:
    recipe = Remedy("target_modules", "keep the plan away from the wrappers: the recipe below", by_recipe=True)
    scoped = [site for site in sites if blueprint.scope.covers(site.role)]
    asked = trial is blueprint.plan
    inside = _inside(blueprint, trial if asked else None, sites)
    remedies = [*inside, recipe] if asked else [recipe, *inside]
    if asked and not scoped:
        lora = trial.plan.lora
        excluded = excluding(blueprint, roots(blueprint, sites), lora.get("exclude_modules"))
        text = "or leave out the parts that hold them, by a regular expression"
        remedies.append(Remedy("exclude_modules", text, excluded, plan={**lora, "exclude_modules": excluded}))
    if len(scoped) < len(sites):
        text = "or train what is around them as well, by all-linear, which reaches the linears inside: --scope all"
        plan = {"target_modules": "all-linear"}
        remedies.append(Remedy("setting", text, {"scope": Scope.ALL.value}, plan=plan, scope=Scope.ALL))
    return [*remedies, *_patches(blueprint, sites)]


def _inside(blueprint: Blueprint, plan: Trial | None, sites: Sequence[Site]) -> list[Remedy]:
    """Targets that name the linears inside the wrappers of the scope, and what else ``plan`` reaches."""
    scoped = [site for site in sites if blueprint.scope.covers(site.role)]
    inner = {site.path: site.inner for site in scoped if site.inner is not None}
    if not inner:
        return []
    text = "or adapt the linears inside the wrappers"
    wanted = set(inner.values())
    lora: dict[str, Any] = {}
    if plan is not None:
        text = "or adapt what the plan names, and in place of the wrappers the linears inside"
        wanted.intersection_update(inner.get(path, path) for path in plan.reached)
        wanted.update(set(plan.reached).difference(site.path for site in sites))
        lora = {key: value for key, value in plan.plan.lora.items() if key not in _NARROWING}
        lora |= _moved_inside(lora, {path: linear for path, linear in inner.items() if linear in wanted})
    targets = _expression(blueprint, _by_leaves(scoped), wanted)
    return [Remedy("target_modules", text, targets, plan={**lora, "target_modules": targets})] if targets else []


def _expression(blueprint: Blueprint, short: str, wanted: Collection[str]) -> str | None:
    """``short`` where it means just the paths ``wanted``, or else what does."""
    paths = [site.path for site in blueprint.sites if not site.is_parameter]
    if {path for path in paths if re.fullmatch(short, path)} == wanted:
        return short
    return pattern([path for path in paths if path in wanted], (path for path in paths if path not in wanted))


def _moved_inside(lora: Mapping[str, Any], inner: Mapping[str, str]) -> dict[str, Any]:
    """The patterns of ranks and alphas for wrappers, for the linears inside as well."""
    return {
        setting: {_reaching_inside(name, inner): value for name, value in lora[setting].items()}
        for setting in ("rank_pattern", "alpha_pattern")
        if lora.get(setting)
    }


def _reaching_inside(name: str, inner: Mapping[str, str]) -> str:
    paths = matched(rf"(.*\.)?({name})", inner)  # as PEFT does
    added = dict.fromkeys(inner[path].removeprefix(path) for path in paths)
    return f"({name})({'|'.join(map(re.escape, added))})?" if added else name


_NARROWING = ("exclude_modules", "layers_to_transform", "layers_pattern")
"""What takes away of a plan's targets, which an expression that means all of its paths does not need."""


def _by_leaves(sites: Sequence[Site]) -> str:
    """An expression for the linears inside ``sites`` by the last names in their paths."""
    names = dict.fromkeys(site.leaf for site in sites)
    inner = dict.fromkeys(site.inner.rpartition(".")[2] for site in sites if site.inner)
    return rf".*\.{_any_of(names)}\.{_any_of(inner)}"


def _patches(blueprint: Blueprint, sites: Sequence[Site]) -> Iterator[Remedy]:
    """Patches with which PEFT takes the wrappers' own names: what changes least first."""
    found = [one for one in blueprint.operations if one.way in _PATCHES and one.sites == tuple(sites) and one.effect]
    if any(one.way is Way.UNWRAP and _is_exact(one) for one in found):
        found = [one for one in found if one.way is not Way.KEEP]
    for operation in sorted(found, key=_cost):
        assert operation.effect is not None  # as above
        source, way = blueprint.model.source, operation.way.value
        call = (
            f"archlint.patch(model, way={way!r})"
            if source is None
            else f"archlint patch {shlex.quote(source)} --way {way}"
        )
        text = f"or {_PATCHES[operation.way]}: {call}"
        changes = [
            f"{what} change by up to {part.figure} of their standard deviations"
            for what, part in (("outputs", operation.effect.forward), ("once merged outputs", operation.effect.merged))
            if part.safety is Safety.LOSSY
        ]
        yield Remedy(
            "patch",
            "; ".join([text, *changes]),
            call,
            operation.effect.safety,
            proven=blueprint.baseline.ground is not None,
        )


_PATCHES = {
    Way.UNWRAP: "unwrap after loading",
    Way.KEEP: "unwrap after loading, with linears that do what the wrappers do",
    Way.REGISTER: "tell PEFT how to adapt the wrappers",
}


def _cost(operation: Operation) -> tuple[bool, bool]:
    return not _is_exact(operation), operation.effect is None or operation.effect.forward.safety is Safety.LOSSY


def _is_exact(operation: Operation) -> bool:
    return operation.effect is not None and operation.effect.safety is Safety.EXACT


def _any_of(names: Collection[str]) -> str:
    """A regular expression for any of ``names``."""
    return "|".join(names) if len(names) == 1 else f"({'|'.join(names)})"
