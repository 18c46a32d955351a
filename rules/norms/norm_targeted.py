"""ARC203: a plan's name reaches a norm, which PEFT does not adapt."""

from __future__ import annotations

from collections.abc import Iterable

from archlint.core.amending import leaving_out
from archlint.core.blueprint import Blueprint, Kind
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.rule import Example, Rule, by_class, listed, quote
from archlint.core.trial import Trial


class NormTargeted(Rule):
    """A target name of the plan matches a norm, and PEFT raises.

    ## What it does
    Looks for norms that a plan's `target_modules` reach.

    ## Why it matters
    LoRA is for matrices. PEFT has no adapter for any norm: `get_peft_model` raises before training starts.

    ## What to do
    Take the name out of `target_modules`. To train the norms, put it into `modules_to_save`, which trains and
    saves whole modules. Mind that it matches by the end of the path without asking for a dot: `norm` takes every
    module whose path ends so.
    """

    code = "ARC203"
    name = "norm-targeted"
    severity = Severity.ERROR
    why = "PEFT has no adapter for a norm: get_peft_model raises and nothing is trained."
    fires = (
        Example(
            "toy:norms.CustomNorms",
            plan={"target_modules": ["q_proj", "input_layernorm"]},
            at="layers.{0,1}.input_layernorm",
            severity=Severity.ERROR,
            says="the plan targets input_layernorm: OwnNorm is a norm; PEFT refuses it",
            fix=Remedy(
                "modules_to_save",
                "train the norms in full: out of target_modules, into modules_to_save",
                ["input_layernorm"],
            ),
        ),
        Example("toy:norms.LibraryNorms", plan={"target_modules": r".*\.(q_proj|input_layernorm)"}),
    )
    silent = (
        Example("toy:norms.CustomNorms"),
        Example("toy:norms.CustomNorms", plan={"target_modules": ["q_proj"], "modules_to_save": ["input_layernorm"]}),
    )

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        for sites in by_class(blueprint.select(Kind.NORM)):
            paths = frozenset(site.path for site in sites)
            for trial in blueprint.trials:
                reached = [site for site in sites if site.path in trial.reached]
                if reached and trial.refuses(paths):  # a norm's weight among the parameters is another rule's matter
                    names = list(dict.fromkeys(site.name for site in reached))
                    yield self.finding(
                        f"the plan targets {listed(names)}: {sites[0].type.name} is a norm; PEFT refuses it",
                        sites=reached,
                        evidence=Evidence.INJECTED,
                        remedies=_remedies(blueprint, trial, names),
                        proof=[quote(trial)],
                    )


def _remedies(blueprint: Blueprint, trial: Trial, names: list[str]) -> list[Remedy]:
    norms = frozenset(site.path for site in blueprint.select(Kind.NORM))
    changed = leaving_out(trial, norms)
    if changed is None:
        return [Remedy("target_modules", "leave the norms out: the recipe below", by_recipe=True)]
    saved = [*(changed.get("modules_to_save") or ()), *names]
    return [
        Remedy(
            "modules_to_save",
            "train the norms in full: out of target_modules, into modules_to_save",
            value=saved,
            plan={**changed, "modules_to_save": saved},
        ),
        Remedy("target_modules", "or leave them out: the recipe below", by_recipe=True),
    ]
