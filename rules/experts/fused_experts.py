"""ARC301: experts are stacked in parameters, which names of modules do not reach."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from archlint.core.amending import as_parameters, leaving_out
from archlint.core.blueprint import Blueprint, Kind, Site, Trait
from archlint.core.expressions import matched
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.folding import without_indices
from archlint.core.refusals import Cause, cause
from archlint.core.rule import Example, Rule, by_class, listed, quote
from archlint.core.safety import Safety
from archlint.core.trial import Trial

_RECIPE = Remedy("target_parameters", "or take the recipe below", by_recipe=True)


class FusedExperts(Rule):
    """All experts of a layer are stacked in two or three parameters instead of being linear layers.

    ## What it does
    Looks for stacked experts, and for plans that mean them and miss them: `all-linear`, names of the projections
    that the stacks are made of, names that reach only the dense or shared MLPs beside them.

    ## Why it matters
    The experts hold most weights of such a model. Names in `target_modules` do not reach parameters, so the plan
    trains attention and little else, and nothing says so. For some model types PEFT turns the names of separate
    experts into parameters. There, a name for one half of a stack, gate without up, raises.

    ## What to do
    Name the stacks in `target_parameters`. That allows no dropout, no DoRA and no bias (ARC305). Or leave the
    experts frozen on purpose, with a plan that names attention only.
    """

    code = "ARC301"
    name = "fused-experts"
    severity = Severity.ERROR
    why = "Names in target_modules do not reach stacked parameters, which hold most weights of the model."
    fires = (
        Example("toy:experts.TopKMoe", plan={"target_modules": ["q_proj", "v_proj"]}, severity=Severity.INFO),
        Example(
            "toy:experts.TopKMoe",
            plan={"target_modules": "all-linear"},
            at="layers.{0,1}.mlp.experts.{gate_up,down}_proj",
            severity=Severity.WARNING,
            says="Experts stacks 4 experts in gate_up_proj, down_proj, left frozen by the plan",
            fix=Remedy(
                "target_parameters", "adapt the experts as parameters", ["experts.gate_up_proj", "experts.down_proj"]
            ),
        ),
        Example(
            "toy:experts.TopKMoe",
            plan={"target_modules": ["q_proj", "gate_proj", "up_proj", "down_proj"]},
            severity=Severity.WARNING,
        ),
        Example(
            "toy:experts.TopKMoe",
            plan={"target_modules": r".*\.(q|v|gate|up|down)_proj"},
            severity=Severity.WARNING,
        ),
        Example(
            "toy:experts.WithSharedExpert",
            plan={"target_modules": r".*\.shared_expert\..*"},
            severity=Severity.WARNING,
        ),
        Example("toy:experts.TopKMoe", plan={"target_modules": ["q_proj", "experts"]}, severity=Severity.ERROR),
        Example("type:qwen3_moe", plan={"target_modules": ["up_proj"]}, severity=Severity.ERROR),
        Example(
            "toy:experts.TopKMoe",
            plan={"target_modules": "all-linear", "target_parameters": ["experts.down_proj"]},
            severity=Severity.INFO,
        ),
    )
    silent = (Example("toy:experts.Dense"),)

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        for sites in by_class(blueprint.select(Kind.FUSED_EXPERTS)):
            stacks = [site for site in sites if site.is_parameter]
            holders = [site for site in sites if not site.is_parameter]
            if stacks:
                yield (
                    self._holder_named(blueprint, stacks, holders)
                    or self._half_named(blueprint, stacks)
                    or self._missed(blueprint, stacks)
                    or self._trait(blueprint, stacks)
                )

    def _holder_named(self, blueprint: Blueprint, stacks: Sequence[Site], holders: Sequence[Site]) -> Finding | None:
        paths = frozenset(site.path for site in holders)
        refused = [trial for trial in blueprint.trials if trial.refuses(paths)]
        if not refused:
            return None
        return self.finding(
            f"{_what(stacks)}; the plan targets {listed(site.leaf for site in holders)}, a module that PEFT refuses",
            sites=holders,
            evidence=Evidence.INJECTED,
            remedies=[
                *_by_parameter(blueprint, refused[0], stacks, holders),
                *_frozen(refused[0], paths),
                _RECIPE,
            ],
            proof=[quote(trial) for trial in refused],
        )

    def _half_named(self, blueprint: Blueprint, stacks: Sequence[Site]) -> Finding | None:
        refused = [trial for trial in blueprint.trials if cause(blueprint, trial) is Cause.HALF_FUSED]
        if not refused:
            return None
        return self.finding(
            f"{_what(stacks)}: {_said(refused[0])}",
            sites=stacks,
            evidence=Evidence.INJECTED,
            remedies=[*_with_other_half(refused[0]), _RECIPE],
            proof=[quote(trial) for trial in refused],
        )

    def _missed(self, blueprint: Blueprint, stacks: Sequence[Site]) -> Finding | None:
        missing = [trial for trial in blueprint.trials if _means_and_misses(blueprint, trial, stacks)]
        if not missing:
            return None
        by = "the plan" if blueprint.plan is not None else listed(trial.plan.name for trial in missing)
        return self.finding(
            f"{_what(stacks)}, left frozen by {by}",
            sites=stacks,
            severity=Severity.WARNING,
            evidence=Evidence.INJECTED,
            remedies=[*_by_parameter(blueprint, missing[0], stacks, ()), _RECIPE],
            proof=[quote(trial) for trial in missing],
        )

    def _trait(self, blueprint: Blueprint, stacks: Sequence[Site]) -> Finding:
        adapted = {path for trial in blueprint.trials for path in trial.adapted}
        hit = any(site.path in adapted for site in stacks)
        fate = "which PEFT adapts as parameters" if hit else "out of reach for target_modules"
        return self.finding(
            f"{_what(stacks)}, {fate}",
            sites=stacks,
            severity=Severity.INFO,
            evidence=Evidence.INJECTED if hit else Evidence.STATIC,
        )


def _what(stacks: Sequence[Site]) -> str:
    count = stacks[0].weights[0].shape[0]
    return f"{stacks[0].type.name} stacks {count} experts in {listed(site.leaf for site in stacks)}"


def _said(trial: Trial) -> str:
    """What PEFT raised, on one line and without a full stop."""
    return " ".join(trial.raised.message.split()).rstrip(".") if trial.raised is not None else ""


def _means_and_misses(blueprint: Blueprint, trial: Trial, stacks: Sequence[Site]) -> bool:
    """Whether a plan that runs is meant for the experts, and adapts none of them."""
    adapted = frozenset(trial.adapted)
    if trial.raised is not None or any(site.path in adapted for site in stacks):
        return False
    return (
        trial.plan.says_all
        or _names_a_part(blueprint, trial, stacks)
        or _matches_a_part(trial, stacks)
        or _adapts_beside(blueprint, adapted, stacks)
    )


def _names_a_part(blueprint: Blueprint, trial: Trial, stacks: Sequence[Site]) -> bool:
    """Whether the plan adapts linears called like parts of the stacks, or has such names that reach nothing."""
    wholes = [set(site.leaf.split("_")) for site in stacks]
    idle = [
        entry.value.rpartition(".")[2]
        for entry in trial.entries
        if entry.setting in ("target_modules", "target_parameters") and not entry.reaches
    ]
    chosen = frozenset(trial.adapted)
    adapted = [site.leaf for site in blueprint.select(Kind.LINEAR, role=stacks[0].role) if site.path in chosen]
    return any(_is_part(set(name.split("_")), wholes) for name in (*idle, *adapted))


def _matches_a_part(trial: Trial, stacks: Sequence[Site]) -> bool:
    """Whether the plan's expression would reach the experts if each were a module with linears of its own."""
    targets = trial.plan.lora.get("target_modules")
    if not isinstance(targets, str):
        return False
    parts = (f"{site.parent}.0.{part}" for site in stacks for part in _parts(site.leaf))
    return bool(matched(targets, parts))


def _parts(name: str) -> list[str]:
    """What a stack's name is made of: ``gate_up_proj`` of ``gate_proj`` and ``up_proj``."""
    *words, last = name.split("_")
    return [name, *(f"{word}_{last}" for word in words)]


def _is_part(words: Collection[str], wholes: Iterable[set[str]]) -> bool:
    """Whether a name is a stack's, or that of a part, as ``gate_proj`` is of ``gate_up_proj``."""
    return any(words == whole or (len(words) > 1 and whole.issuperset(words)) for whole in wholes)


def _adapts_beside(blueprint: Blueprint, adapted: Collection[str], stacks: Sequence[Site]) -> bool:
    """Whether the plan adapts linears of the blocks that hold the experts, or of dense MLPs in the same place."""
    blocks = [
        site.path
        for site in blueprint.select(trait=Trait.MOE_BLOCK)
        if not site.leaf.isdigit() and any(stack.path.startswith(f"{site.path}.") for stack in stacks)
    ]
    places = {without_indices(block) for block in blocks}
    return any(
        site.path in adapted and any(without_indices(parent) in places for parent in _parents(site.path))
        for site in blueprint.select(Kind.LINEAR)
    )


def _parents(path: str) -> Iterator[str]:
    while path := path.rpartition(".")[0]:
        yield path


def _by_parameter(
    blueprint: Blueprint, trial: Trial, stacks: Sequence[Site], modules: Sequence[Site]
) -> Iterator[Remedy]:
    names, plan = as_parameters(blueprint, trial, modules, stacks)
    if plan is not None:
        yield Remedy("target_parameters", f"adapt the experts as parameters{_price(trial, plan)}", names, plan=plan)


def _price(trial: Trial, plan: dict[str, Any]) -> str:
    """The settings that ``plan`` gives up for it."""
    given_up = [key for key, value in trial.plan.lora.items() if key in plan and plan[key] != value and not plan[key]]
    return f", without {', '.join(given_up)}" if given_up else ""


def _with_other_half(trial: Trial) -> Iterator[Remedy]:
    targets = trial.plan.lora.get("target_modules")
    missing = re.search(r"without also targeting (.+) because", _said(trial))
    if missing and isinstance(targets, (list, tuple)):
        whole = [*targets, *missing[1].split(", ")]
        plan = {**trial.plan.lora, "target_modules": whole}
        yield Remedy("target_modules", f"name the other half too: {missing[1]}", value=whole, plan=plan)


def _frozen(trial: Trial, holders: Collection[str]) -> Iterator[Remedy]:
    plan = leaving_out(trial, holders)
    if plan is not None:
        kept = plan.get("target_modules")
        yield Remedy("target_modules", "or leave the experts frozen", value=kept, safety=Safety.LOSSY, plan=plan)
