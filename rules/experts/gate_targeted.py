"""ARC304: a plan adapts a router, or the gate that weighs a shared expert."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from archlint.core.amending import without
from archlint.core.blueprint import Blueprint, Kind, Site
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.rule import Example, Rule, by_class, listed, quote
from archlint.core.trial import Trial


class GateTargeted(Rule):
    """A plan puts adapters on the layers that choose or weigh the experts.

    ## What it does
    Looks for adapters on routers and on linears with a single output beside a shared expert, also where PEFT has
    turned a router's name into its weight. A plan that names the layer gets an info; a plan of the user's that
    takes it along by accident, as `all-linear` does, a warning. The stock plans get an info: on most mixtures
    `all-linear` reaches a gate, and nobody has chosen it yet.

    ## Why it matters
    A router decides which expert sees which token. An adapter on it changes that for all tokens, which
    fine-tuning on little data rarely wants, and tools that serve adapters seldom support it. Where the router
    returns a tuple the adapted model crashes, which is ARC303.

    ## What to do
    Name the layers to be adapted, or exclude the gates.
    """

    code = "ARC304"
    name = "gate-targeted"
    severity = Severity.WARNING
    why = "An adapter on a router changes which expert sees which token."
    fires = (
        Example(
            "toy:experts.LinearRouter",
            plan={"target_modules": "all-linear"},
            at="layers.{0,1}.mlp.gate",
            severity=Severity.WARNING,
            says="the plan adapts gate, which chooses the experts, without naming it",
            fix=Remedy("exclude_modules", "leave gate out", ["gate"]),
        ),
        Example("toy:experts.LinearRouter", plan={"target_modules": ["gate"]}, severity=Severity.INFO),
        Example("toy:experts.LinearRouter", severity=Severity.INFO),
        Example("toy:experts.TupleLinearRouter", at="layers.{0,1}.mlp.gate", severity=Severity.INFO),
        Example("type:qwen3_moe", plan={"target_modules": ["q_proj", "gate"]}, severity=Severity.INFO),
    )
    silent = (
        Example("toy:experts.TopKMoe"),
        Example("toy:experts.LinearRouter", plan={"target_modules": ["q_proj"]}),
    )

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        for kind in (Kind.ROUTER, Kind.GATE):
            for sites in by_class(blueprint.select(kind)):
                for trial in blueprint.trials:
                    chosen = [site for site in sites if site.path in trial.adapted]
                    if chosen:
                        yield self._judged(blueprint, trial, chosen)
                        break

    def _judged(self, blueprint: Blueprint, trial: Trial, sites: Sequence[Site]) -> Finding:
        names = listed(_name(site) for site in sites)
        if blueprint.plan is None or all(_is_named(trial, site) for site in sites):
            severity = Severity.INFO
            plan = "the plan" if blueprint.plan is not None else trial.plan.name
            message = f"{plan} adapts {names}, which {_work(sites)}"
        else:
            severity = Severity.WARNING
            message = f"the plan adapts {names}, which {_work(sites)}, without naming it"
        return self.finding(
            message,
            sites=sites,
            severity=severity,
            evidence=Evidence.INJECTED,
            remedies=_remedies(trial, sites) if severity is not Severity.INFO else (),
            proof=[quote(trial)],
        )


def _work(sites: Sequence[Site]) -> str:
    return "chooses the experts" if sites[0].kind is Kind.ROUTER else "weighs the shared expert"


def _name(site: Site) -> str:
    """A bare weight is told with its router."""
    return f"{site.parent.rpartition('.')[2]}.{site.leaf}" if site.is_parameter else site.leaf


def _is_named(trial: Trial, site: Site) -> bool:
    """Whether the plan means this layer: by an entry of a list, or by its name within an expression."""
    owner = site.parent if site.is_parameter else site.path
    leaf = owner.rpartition(".")[2]
    words = [word for setting in ("target_modules", "target_parameters") for word in trial.plan.named(setting)]
    return any(re.search(rf"(?<!\w){re.escape(leaf)}(?!\w)", word) for word in words)


def _remedies(trial: Trial, sites: Sequence[Site]) -> list[Remedy]:
    text = f"leave {listed(map(_name, sites))} out"
    if any(site.is_parameter for site in sites):  # PEFT made its name of the router's: exclusions do not hold there
        return [Remedy("target_modules", f"{text}: the recipe below", by_recipe=True)]
    return without([trial], frozenset(site.path for site in sites), text)
