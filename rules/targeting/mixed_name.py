"""ARC506: one name of a plan reaches layers that PEFT adapts and modules that it refuses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from archlint.core.blueprint import Blueprint, Site, Trait
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.refusals import Cause, cause
from archlint.core.rule import Example, Rule, quote
from archlint.core.suffixes import suffixes
from archlint.core.trial import Trial


class MixedName(Rule):
    """A name stands for linear layers in one place of the model and for something else in another.

    ## What it does
    Looks for plans that PEFT refused at a module which is no linear layer, and which shares its last name with
    layers that PEFT does adapt.

    ## Why it matters
    A list matches by the end of a path, so that a right name also reaches its namesakes. PEFT raises at the
    first of them and adapts nothing.

    ## What to do
    Name the layers with the part of the path before it, which tells them apart.
    """

    code = "ARC506"
    name = "mixed-name"
    severity = Severity.ERROR
    why = "A listed name reaches every module whose path ends in it, and PEFT raises at one that it cannot adapt."
    fires = (
        Example(
            "toy:targeting.Mixed",
            plan={"target_modules": ["dense"]},
            at="layers.{0,1}.feed_forward.dense",
            severity=Severity.ERROR,
            says="dense names 4 layers that PEFT adapts and a ModuleDict that it refuses",
            fix=Remedy(
                "target_modules", "tell them apart by the part before the name", ["attention.dense", "dense.dense"]
            ),
        ),
    )
    silent = (
        Example("toy:targeting.Mixed", plan={"target_modules": ["attention.dense", "dense.dense"]}),
        Example("toy:targeting.Mixed", plan={"target_modules": "all-linear"}),
        Example("toy:targeting.Mixed"),
    )

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        for trial in blueprint.trials:
            if cause(blueprint, trial) is not Cause.MIXED_NAME or trial.raised is None:
                continue
            values, sites = _namesakes(blueprint, trial)
            refused = [site for site in sites if Trait.SUPPORTED not in site.traits]
            wanted = [site for site in sites if Trait.SUPPORTED in site.traits]
            yield self.finding(
                f"{', '.join(values)} names {len(wanted)} layers that PEFT adapts and a {refused[0].type.name} that it "
                "refuses",
                sites=refused,
                evidence=Evidence.INJECTED,
                remedies=_remedies(blueprint, trial, values, wanted),
                proof=[quote(trial)],
            )


def _namesakes(blueprint: Blueprint, trial: Trial) -> tuple[list[str], list[Site]]:
    """The values of the plan that reach the module at which PEFT raised, and all that they reach."""
    at = trial.raised.at if trial.raised is not None else None
    entries = [entry for entry in trial.entries if entry.setting == "target_modules" and at in entry.reaches]
    paths = dict.fromkeys(path for entry in entries for path in entry.reaches)
    return [entry.value for entry in entries], [blueprint.by_path[path] for path in paths]


def _remedies(blueprint: Blueprint, trial: Trial, values: Sequence[str], wanted: Sequence[Site]) -> list[Remedy]:
    recipe = Remedy("target_modules", "or name all that the scope has: the recipe below", by_recipe=True)
    paths = [site.path for site in wanted]
    others = {site.path for site in blueprint.sites if not site.is_parameter}.difference(paths)
    longer = suffixes(paths, others)
    if longer is None:
        return [recipe]
    targets = [*(name for name in trial.plan.lora.get("target_modules") or () if name not in values), *longer]
    plan = {**trial.plan.lora, "target_modules": targets}
    return [Remedy("target_modules", "tell them apart by the part before the name", targets, plan=plan), recipe]
