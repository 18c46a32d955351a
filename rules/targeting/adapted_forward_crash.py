"""ARC508: the model runs, and with the plan's adapters it crashes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from archlint.core.amending import without
from archlint.core.blueprint import Blueprint, Site
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.rule import Example, Rule, listed, spell
from archlint.core.runs import crashed_sites, located, quote_run, tuple_sites
from archlint.core.trial import Crash, Trial


class AdaptedForwardCrash(Rule):
    """PEFT takes the plan, and the first training step of the adapted model raises.

    ## What it does
    Runs the model forward and backward with the plan's adapters, where it runs without them, and tells what was
    raised, at which line of the model's code and at which adapter. A layer that returns a tuple is ARC303.

    ## Why it matters
    PEFT looks at the type of a layer, not at what it computes. A subclass of `nn.Linear` that works on groups of
    its input, or code that asks a layer for its class, breaks only when the model is called: after the weights
    were downloaded and loaded.

    ## What to do
    Leave the layer out of the plan, as the recipe does.
    """

    code = "ARC508"
    name = "adapted-forward-crash"
    severity = Severity.ERROR
    why = "The model trains without these adapters, and with them the first training step fails."
    fires = (
        Example(
            "toy:projections.Grouped",
            at="layers.{0,1}.o_proj",
            severity=Severity.ERROR,
            says="an adapter on o_proj crashes the first training step: RuntimeError: …",
            fix=Remedy("exclude_modules", "leave o_proj out", ["o_proj"]),
        ),
        Example("toy:projections.Grouped", plan={"target_modules": ["q_proj", "o_proj"]}, at="layers.{0,1}.o_proj"),
    )
    silent = (
        Example("toy:projections.Grouped", plan={"target_modules": ["q_proj"]}),
        Example("toy:experts.TupleLinearRouter"),
        Example("toy:projections.Dense"),
    )

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        found: dict[tuple[Site, ...] | Crash, list[Trial]] = {}
        for trial in blueprint.trials:
            sites = crashed_sites(blueprint, trial)
            if trial.crash is not None and not set(sites).intersection(tuple_sites(blueprint, trial)):
                found.setdefault(sites or trial.crash, []).append(trial)
        for trials in found.values():
            yield self._crashing(trials, crashed_sites(blueprint, trials[0]))

    def _crashing(self, trials: Sequence[Trial], sites: Sequence[Site]) -> Finding:
        crash = trials[0].crash
        where = f"on {listed(site.leaf for site in sites)}" if sites else f"of {spell(trials[0])}"
        finding = self.finding(
            f"an adapter {where} crashes the first training step: {crash}",
            sites=sites,
            evidence=Evidence.FORWARDED,
            remedies=_remedies(trials, sites),
            proof=[quote_run(trial) for trial in trials],
        )
        return located(finding, crash)


def _remedies(trials: Sequence[Trial], sites: Sequence[Site]) -> list[Remedy]:
    if not sites or any(site.is_parameter for site in sites):
        return [Remedy("target_modules", "take the recipe below", by_recipe=True)]
    names = listed(site.leaf for site in sites)
    return without(trials, frozenset(site.path for site in sites), f"leave {names} out")
