"""ARC501: no targets were given, and PEFT has none of its own for this model type."""

from __future__ import annotations

from collections.abc import Iterable

from archlint.core.blueprint import Blueprint
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.refusals import Cause, cause
from archlint.core.rule import Example, Rule, quote


class NoDefaultTargets(Rule):
    """PEFT has no default targets for the model type, so a LoraConfig without targets raises.

    ## What it does
    Runs `LoraConfig()` without targets on the model. PEFT then looks the model type up in a table of its own,
    which holds a part of the types that transformers knows.

    ## Why it matters
    `get_peft_model` raises, and asks for `target_modules`. It is an error only for a plan that leaves the choice
    to PEFT; other plans do not need the table.

    ## What to do
    Name the targets: the recipe is such a list.
    """

    code = "ARC501"
    name = "no-default-targets"
    severity = Severity.ERROR
    why = "Without targets PEFT looks the model type up in its own table and raises where it is not in there."
    fires = (
        Example("toy:projections.Dense", severity=Severity.INFO),
        Example(
            "toy:projections.Dense",
            plan={"r": 4},
            severity=Severity.ERROR,
            says="PEFT has no default targets for Dense",
            fix=Remedy("target_modules", "name the targets: the recipe below"),
        ),
    )
    silent = (
        Example("toy:projections.Dense", plan={"target_modules": ["q_proj"]}),
        Example("toy:targeting.Known"),
    )

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        for trial in blueprint.trials:
            if cause(blueprint, trial) is Cause.NO_DEFAULT:
                yield self.finding(
                    f"PEFT has no default targets for {blueprint.model.model_type or blueprint.model.class_name}",
                    severity=Severity.ERROR if trial is blueprint.plan else Severity.INFO,
                    evidence=Evidence.INJECTED,
                    remedies=[Remedy("target_modules", "name the targets: the recipe below", by_recipe=True)],
                    proof=[quote(trial)],
                )
