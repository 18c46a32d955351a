"""ARC505: PEFT refuses a module by its name for this model type, though it could adapt its class."""

from __future__ import annotations

from collections.abc import Iterable

from archlint.core import amending
from archlint.core.blueprint import Blueprint, Site
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.refusals import Cause, cause
from archlint.core.rule import Example, Rule, quote
from archlint.core.trial import Trial


class BlockedModule(Rule):
    """A plan reaches a module whose name PEFT refuses for this model type.

    ## What it does
    Looks for plans that PEFT refused at a module which it could adapt by its class. PEFT keeps a list of names
    that are not to be adapted in models with state-space mixers.

    ## Why it matters
    The kernels of these mixers read the weight of the module without calling it, so that an adapter there would
    be passed over. PEFT raises instead, and one such name in a list, or `all-linear`, stops the whole plan.

    ## What to do
    Leave the name out, or exclude it; the layers beside it can be adapted.
    """

    code = "ARC505"
    name = "blocked-module"
    severity = Severity.ERROR
    why = "PEFT refuses the whole plan when it reaches one module that it blocks for this model type."
    fires = (
        Example(
            "toy:targeting.Blocked",
            plan={"target_modules": ["in_proj", "out_proj"]},
            at="layers.{0,1}.out_proj",
            says="PEFT refuses to adapt out_proj of the model type mamba",
            fix=Remedy("target_modules", "leave out_proj out", ["in_proj"]),
        ),
        Example("toy:targeting.Blocked", at="layers.{0,1}.out_proj", severity=Severity.ERROR),
    )
    silent = (
        Example("toy:targeting.Blocked", plan={"target_modules": ["in_proj"]}),
        Example("toy:targeting.Blocked", plan={"target_modules": "all-linear", "exclude_modules": ["out_proj"]}),
    )

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        blocked = [trial for trial in blueprint.trials if cause(blueprint, trial) is Cause.BLOCKED]
        if not blocked:
            return
        sites = list(dict.fromkeys(site for trial in blocked for site in _blocked(blueprint, trial)))
        names = sorted({site.leaf for site in sites})
        yield self.finding(
            f"PEFT refuses to adapt {' and '.join(names)} of the model type {blueprint.model.model_type}",
            sites=sites,
            evidence=Evidence.INJECTED,
            remedies=amending.without(blocked, {site.path for site in sites}, f"leave {' and '.join(names)} out"),
            proof=[quote(trial) for trial in blocked],
        )


def _blocked(blueprint: Blueprint, trial: Trial) -> list[Site]:
    """The modules that the plan reaches and whose names PEFT's message lists."""
    message = trial.raised.message if trial.raised is not None else ""
    sites = (blueprint.by_path[path] for path in trial.reached)
    return [site for site in sites if f"'{site.leaf}'" in message]
