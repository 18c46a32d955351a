"""ARC109: the base model comes with low-rank adapters of its own."""

from __future__ import annotations

from collections.abc import Iterable

from archlint.core.amending import without
from archlint.core.blueprint import Blueprint, Trait
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.rule import Example, Rule, quote


class BuiltInAdapter(Rule):
    """The base model already holds LoRA layers, which are part of its weights.

    ## What it does
    Looks for modules and parameters whose name begins with `lora_`, the name that PEFT gives its own, and for
    plans that put adapters inside them.

    ## Why it matters
    Such layers switch a model between its abilities, or belong to it for good. PEFT leaves them frozen and saves
    none of them. But they are linears: an adapter inside a low-rank branch trains two thin matrices beside two
    thin matrices, and `all-linear` places one on each.

    ## What to do
    Adapt the layers that the branches stand beside, and leave the branches out.
    """

    code = "ARC109"
    name = "built-in-adapter"
    severity = Severity.WARNING
    why = "The low-rank layers belong to the base model: an adapter inside them is hardly ever meant."
    fires = (
        Example(
            "toy:projections.BuiltInAdapter",
            severity=Severity.WARNING,
            says="the base model has 4 low-rank adapter layers of its own; the plan puts adapters on 4 of them",
            fix=Remedy("exclude_modules", "leave them out", ["lora_down", "lora_up"]),
        ),
        Example("toy:projections.BuiltInAdapter", plan={"target_modules": ["q_proj"]}, severity=Severity.INFO),
    )
    silent = (Example("toy:projections.Dense"),)

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        sites = blueprint.select(trait=Trait.BUILT_IN_ADAPTER, where=lambda site: bool(site.weights))
        if not sites:
            return
        paths = frozenset(site.path for site in sites)
        reaching = [trial for trial in blueprint.trials if paths.intersection(trial.adapted)]
        message = f"the base model has {len(sites)} low-rank adapter layers of its own"
        if not reaching:
            yield self.finding(message, sites=sites, severity=Severity.INFO)
            return
        hit = paths.intersection(reaching[0].adapted)
        yield self.finding(
            f"{message}; the plan puts adapters on {len(hit)} of them",
            sites=sites,
            evidence=Evidence.INJECTED,
            remedies=without(reaching, paths, "leave them out"),
            proof=[quote(trial) for trial in reaching],
        )
