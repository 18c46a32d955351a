"""ARC510: what a plan excludes does not keep anything out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from archlint.core.blueprint import Blueprint, Site, Trait
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.names import near
from archlint.core.rule import Example, Rule, listed, quote
from archlint.core.trial import Trial

_EXPERTS = Remedy(
    "target_modules", "nothing excludes parameters: leave the names that PEFT converts out of the targets"
)

_LONGEST = 80


class ExcludeWithoutEffect(Rule):
    """An entry of `exclude_modules` names a parent of what is to stay out, or nothing at all.

    ## What it does
    Asks PEFT's own matching what each entry of `exclude_modules` reaches. An entry that reaches a module with
    adapted layers inside, or nothing, keeps none of them out.

    ## Why it matters
    A list matches the end of a path: `vision_tower` excludes the tower's outermost module, which no target
    reaches anyway, and none of the layers in it. PEFT adapts them all, or raises at one of them. A layer that
    no target reaches may be listed; that changes nothing.

    ## What to do
    Write a regular expression as one string: it must match whole paths, so begin and end it with `.*`.
    """

    code = "ARC510"
    name = "exclude-without-effect"
    severity = Severity.WARNING
    why = "A list matches the ends of paths, so that a parent's name keeps out nothing that is inside it."
    fires = (
        Example(
            "toy:towers.Captioner",
            plan={"target_modules": ["q_proj"], "exclude_modules": ["vision"]},
            at="vision",
            severity=Severity.WARNING,
        ),
        Example(
            "toy:towers.Captioner",
            plan={"target_modules": ["q_proj"], "exclude_modules": "vision_tower"},
            severity=Severity.WARNING,
        ),
        Example(
            "toy:projections.Dense",
            plan={"target_modules": ["q_proj"], "exclude_modules": ["vision_tower"]},
            severity=Severity.INFO,
        ),
    )
    silent = (
        Example("toy:towers.Captioner", plan={"target_modules": ["q_proj"], "exclude_modules": ".*vision.*"}),
        Example("toy:heads.Untied", plan={"target_modules": ["q_proj"], "exclude_modules": ["lm_head"]}),
        Example("toy:heads.Untied", plan={"target_modules": ["q_proj", "v_proj"], "exclude_modules": ["v_proj"]}),
        Example("toy:projections.Dense"),
    )

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        plan = blueprint.plan
        if plan is None:
            return
        targeted = [*plan.adapted, *(plan.reached if plan.raised is not None else ())]
        named = {path for entry in plan.entries if entry.setting == "target_modules" for path in entry.reaches}
        parents: list[Site] = []
        held: list[str] = []
        missing: list[str] = []
        for entry in plan.entries:
            if entry.setting != "exclude_modules":
                continue
            above = [path for path in entry.reaches if any(target.startswith(f"{path}.") for target in targeted)]
            if not entry.reaches:
                missing.append(entry.value)
            elif above and not any(path in named or _is_layer(blueprint, path) for path in entry.reaches):
                parents += [blueprint.by_path[path] for path in above]
                held.append(entry.value)
        if held:
            inside = [path for path in targeted if path.startswith(tuple(f"{site.path}." for site in parents))]
            are_parameters = all(blueprint.by_path[path].is_parameter for path in inside)
            remedy = _EXPERTS if are_parameters else _expression(plan, [site.leaf for site in parents])
            yield self.finding(
                f"{listed(map(_clipped, held))} in exclude_modules keeps nothing out: "
                f"the plan reaches {len(inside)} layers inside",
                sites=parents,
                evidence=Evidence.INJECTED,
                remedies=[remedy],
                proof=[quote(plan)],
            )
        if missing:
            strays = blueprint.outside(targeted)
            meant = [name for value in missing for name in near(value, _ancestors(strays))]
            yield self.finding(
                f"{listed(map(_clipped, missing))} in exclude_modules reaches nothing",
                severity=Severity.WARNING if strays else Severity.INFO,
                evidence=Evidence.INJECTED,
                remedies=[_expression(plan, meant)] if meant else [],
                proof=[quote(plan)],
            )


def _clipped(value: str) -> str:
    return value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…"


def _is_layer(blueprint: Blueprint, path: str) -> bool:
    """Whether an exclusion of ``path`` can keep a layer out: it is one that PEFT adapts."""
    return Trait.SUPPORTED in blueprint.by_path[path].traits


def _ancestors(sites: Iterable[Site]) -> list[str]:
    """Names of the modules around ``sites``."""
    return list(dict.fromkeys(part for site in sites for part in site.path.split(".")[:-1] if not part.isdigit()))


def _expression(plan: Trial, names: Sequence[str]) -> Remedy:
    """The exclusion that the list was meant to be, with those of its entries that work."""
    given = plan.plan.lora["exclude_modules"]
    inside = "|".join(map(re.escape, dict.fromkeys(names)))
    pattern = rf"(.*\.)?({inside})\..*"
    works = [entry.value for entry in plan.entries if entry.setting == "exclude_modules" and entry.reaches]
    kept = [] if isinstance(given, str) else [re.escape(value) for value in works if value not in names]
    if kept:
        pattern = rf"(.*\.)?(({inside})\..*|{'|'.join(kept)})"
    text = "exclude what is inside, by a regular expression"
    return Remedy("exclude_modules", text, pattern, plan={**plan.plan.lora, "exclude_modules": pattern})
