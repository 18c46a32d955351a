"""ARC502: PEFT has targets of its own for this model type, but they reach nothing."""

from __future__ import annotations

from collections.abc import Iterable

from archlint.core.blueprint import Blueprint
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.refusals import Cause, cause
from archlint.core.rule import Example, Rule, quote


class DefaultTargetsBroken(Rule):
    """PEFT has default targets for the model type, and they reach nothing in this model.

    ## What it does
    Runs `LoraConfig()` without targets on the model, where PEFT's table of defaults has the model type.

    ## Why it matters
    `get_peft_model` raises. For mixtures of experts that PEFT converts to fused parameters the unset targets
    become an empty set before the table is read; for others the table was written for another version of the
    architecture. It is an error only for a plan that leaves the choice to PEFT.

    ## What to do
    Name the targets: the recipe is such a list.
    """

    code = "ARC502"
    name = "default-targets-broken"
    severity = Severity.ERROR
    why = "A plan without targets relies on what PEFT has for the model type, and here that raises."
    fires = (
        Example("toy:targeting.Experts", severity=Severity.INFO),
        Example(
            "toy:targeting.Experts",
            plan={"r": 4},
            severity=Severity.ERROR,
            says="PEFT's default targets for mixtral (q_proj, v_proj) reach nothing",
            fix=Remedy("target_modules", "name the targets: the recipe below"),
        ),
    )
    silent = (
        Example("toy:targeting.Experts", plan={"target_modules": ["q_proj"]}),
        Example("toy:targeting.Known", plan={"r": 4}),
        Example("toy:projections.Dense", plan={"r": 4}),
    )

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        for trial in blueprint.trials:
            if cause(blueprint, trial) is Cause.DEFAULT_BROKEN:
                default = blueprint.facts.peft_default
                names = default if isinstance(default, str) else ", ".join(default or ())
                yield self.finding(
                    f"PEFT's default targets for {blueprint.model.model_type} ({names}) reach nothing",
                    severity=Severity.ERROR if trial is blueprint.plan else Severity.INFO,
                    evidence=Evidence.INJECTED,
                    remedies=[Remedy("target_modules", "name the targets: the recipe below", by_recipe=True)],
                    proof=[quote(trial)],
                )
