"""ARC510: what a plan excludes does not keep anything out."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from archlint.core.blueprint import Blueprint, Site, Trait
from archlint.core.expressions import matched
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.names import near
from archlint.core.parameters import adapted_parameters
from archlint.core.rule import Example, Rule, listed, quote
from archlint.core.safety import Safety
from archlint.core.trial import Entry, Trial

_LONGEST = 80
_NAME = re.compile(r"\w+(\.\w+)*")


class ExcludeWithoutEffect(Rule):
    """An entry of `exclude_modules` names a parent of what is to stay out, parameters, or nothing at all.

    ## What it does
    Asks PEFT's own matching what each entry of `exclude_modules` reaches. An entry that reaches a module with
    adapted layers inside, or nothing, keeps none of them out. Parameters are never kept out.

    ## Why it matters
    A list matches the end of a path: `vision_tower` excludes the tower's outermost module, which no target
    reaches anyway, and none of the layers in it. PEFT adapts them all, or raises at one of them. A string must match
    whole paths: a bare `v_proj` excludes nothing, and neither does an expression in a list. A layer that
    no target reaches may be listed; that changes nothing.

    ## What to do
    Write a regular expression as one string: it must match whole paths, so begin and end it with `.*`. Leave
    parameters out of `target_parameters` instead.
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
            says="vision in exclude_modules keeps nothing out: the plan reaches 2 layers inside",
            fix=Remedy("exclude_modules", "exclude what is inside, by a regular expression", "(.*\\.)?(vision)\\..*"),
        ),
        Example(
            "toy:towers.Captioner",
            plan={"target_modules": ["q_proj"], "exclude_modules": "vision_tower"},
            severity=Severity.WARNING,
        ),
        Example(
            "toy:projections.Dense",
            plan={"target_modules": ["q_proj", "v_proj"], "exclude_modules": "v_proj"},
            at="layers.{0,1}.v_proj",
            severity=Severity.WARNING,
        ),
        Example(
            "toy:experts.TopKMoe",
            plan={
                "target_modules": ["q_proj"],
                "target_parameters": ["experts.down_proj"],
                "exclude_modules": r"layers\.0\..*",
            },
            at="layers.0.mlp.experts.down_proj",
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
        parameters = adapted_parameters(plan)
        targeted = [*plan.adapted, *(plan.reached if plan.raised is not None else ())]
        modules = [path for path in targeted if path not in parameters]
        around: list[Entry] = []
        covering: list[Entry] = []
        misspelled: list[Entry] = []
        missing: list[Entry] = []
        for entry in plan.entries:
            if entry.setting != "exclude_modules":
                continue
            if not entry.reaches:
                (misspelled if _meant(entry, modules) else missing).append(entry)
            elif _is_around(blueprint, plan, entry, modules):
                around.append(entry)
            elif any(_covers(entry, path) for path in parameters):
                covering.append(entry)
        if around:
            yield self._around(blueprint, plan, around, modules)
        if covering:
            yield self._covering(blueprint, plan, covering, parameters)
        if misspelled:
            yield self._misspelled(blueprint, plan, misspelled, modules)
        if missing:
            strays = blueprint.outside(targeted)
            towers = [name for entry in missing for name in near(entry.value, _ancestors(strays))]
            remedies = [_expression(plan, towers)] if towers else []
            yield self._finding(plan, missing, "reaches nothing", remedies, bool(strays))

    def _around(self, blueprint: Blueprint, plan: Trial, around: Sequence[Entry], targeted: Sequence[str]) -> Finding:
        parents = [blueprint.by_path[path] for entry in around for path in _parents(entry, targeted)]
        inside = [path for path in targeted if path.startswith(tuple(f"{site.path}." for site in parents))]
        what = f"keeps nothing out: the plan reaches {len(inside)} layers inside"
        return self._finding(plan, around, what, [_expression(plan, [site.leaf for site in parents])], sites=parents)

    def _covering(
        self, blueprint: Blueprint, plan: Trial, covering: Sequence[Entry], parameters: Mapping[str, str]
    ) -> Finding:
        spared = [path for path in parameters if any(_covers(entry, path) for entry in covering)]
        what = (
            f"keeps no parameters out, and {len(spared)} that it covers {'is' if len(spared) == 1 else 'are'} adapted"
        )
        remedies = [_without_parameters(plan, parameters, spared)]
        return self._finding(plan, covering, what, remedies, sites=[blueprint.by_path[path] for path in spared])

    def _misspelled(
        self, blueprint: Blueprint, plan: Trial, misspelled: Sequence[Entry], targeted: Sequence[str]
    ) -> Finding:
        meant = dict.fromkeys(path for entry in misspelled for path in _meant(entry, targeted))
        is_string = isinstance(plan.plan.lora["exclude_modules"], str)
        rule = "a string must match whole paths" if is_string else "a list holds names and no expressions"
        what = f"reaches nothing, as {rule}: {len(meant)} layers of that name are adapted"
        values = [entry.value for entry in misspelled]
        remedies = [_matched(plan, values), _left_out(plan, values)]
        return self._finding(plan, misspelled, what, remedies, sites=[blueprint.by_path[path] for path in meant])

    def _finding(
        self,
        plan: Trial,
        entries: Sequence[Entry],
        what: str,
        remedies: Sequence[Remedy],
        is_harm: bool = True,
        sites: Sequence[Site] = (),
    ) -> Finding:
        values = [entry.value for entry in entries]
        return self.finding(
            f"{listed(map(_clipped, values))} in exclude_modules {what}",
            sites=sites,
            severity=Severity.WARNING if is_harm else Severity.INFO,
            evidence=Evidence.INJECTED,
            remedies=remedies,
            proof=[quote(plan)],
            settings=["exclude_modules"],
            values=values,
        )


def _parents(entry: Entry, targeted: Sequence[str]) -> list[str]:
    """What an exclusion reaches that has targeted layers inside."""
    return [path for path in entry.reaches if any(target.startswith(f"{path}.") for target in targeted)]


def _is_around(blueprint: Blueprint, plan: Trial, entry: Entry, targeted: Sequence[str]) -> bool:
    """Whether an exclusion reaches what is around targeted layers, and no layer that it keeps out."""
    named = {path for other in plan.entries if other.setting == "target_modules" for path in other.reaches}
    keeps_out = any(path in named or _is_layer(blueprint, path) for path in entry.reaches)
    return not keeps_out and bool(_parents(entry, targeted))


def _covers(entry: Entry, path: str) -> bool:
    """Whether an exclusion reaches the module at ``path`` or one around it."""
    return any(f"{path}.".startswith(f"{reached}.") for reached in entry.reaches)


def _meant(entry: Entry, targeted: Sequence[str]) -> list[str]:
    """The targeted layers that a value would keep out as the end of a path, or as an expression for one."""
    return matched(rf"(.*\.)?({entry.value})", targeted)


def _matched(plan: Trial, misspelled: Sequence[str]) -> Remedy:
    """The same exclusion as PEFT matches it: a name in a list, and else one expression for whole paths."""
    given = plan.plan.lora["exclude_modules"]
    excluded: Any
    if isinstance(given, str):
        excluded = [given] if _NAME.fullmatch(given) else rf"(.*\.)?({given})"
    else:
        ends = (value if value in misspelled else re.escape(value) for value in given)
        excluded = rf"(.*\.)?({'|'.join(ends)})"
    text = "say it as PEFT matches it"
    return Remedy("exclude_modules", text, excluded, plan={**plan.plan.lora, "exclude_modules": excluded})


def _left_out(plan: Trial, misspelled: Sequence[str]) -> Remedy:
    given = plan.plan.lora["exclude_modules"]
    kept = [] if isinstance(given, str) else [value for value in given if value not in misspelled]
    text = "or leave it out, as it keeps nothing out"
    return Remedy("exclude_modules", text, kept, Safety.LOSSY, plan={**plan.plan.lora, "exclude_modules": kept})


def _without_parameters(plan: Trial, parameters: Mapping[str, str], spared: Collection[str]) -> Remedy:
    """The plan that names just those parameters which no exclusion covers."""
    kept = [name for path, name in parameters.items() if path not in spared]
    whole = [
        entry.value
        for entry in plan.entries
        if entry.setting == "target_parameters" and entry.reaches and set(entry.reaches) <= set(kept)
    ]
    ends = {name for entry in plan.entries if entry.value in whole for name in entry.reaches}
    names = [*whole, *(name for name in kept if name not in ends)]
    modules = list(plan.rewritten.get("target_modules", ())) or plan.plan.lora.get("target_modules")
    changed = {**plan.plan.lora, "target_modules": modules, "target_parameters": names}
    text = "nothing excludes parameters: name those that are to be adapted"
    return Remedy("target_parameters", text, names, plan=changed)


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
