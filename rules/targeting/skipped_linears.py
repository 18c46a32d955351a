"""ARC503: a plan names linear layers, or says all, and PEFT's conversion takes some of them away."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from archlint.core.blueprint import Blueprint, Kind, Site
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.rule import Example, Rule, quote
from archlint.core.suffixes import suffixes
from archlint.core.trial import Trial


class SkippedLinears(Rule):
    """PEFT turns a plan's names into parameters of fused experts, and linear layers of the same names go unadapted.

    ## What it does
    Compares what the plan's names reach, or every linear layer for `all-linear`, with what was adapted in the end,
    where PEFT replaced names by `target_parameters`.

    ## Why it matters
    For mixtures of experts whose separate experts became stacked parameters, PEFT takes the old names out of
    `target_modules`. The dense layers and the shared experts, which have the same names and are still linears,
    lose their adapters without a word. They are few weights, yet every token passes through them.

    ## What to do
    Name their weights in `target_parameters`, as the fix below does, or use the recipe.
    """

    code = "ARC503"
    name = "skipped-linears"
    severity = Severity.WARNING
    why = "The plan names these layers, and they stay frozen without a message."
    fires = (
        Example(
            "toy:targeting.Experts",
            at="layers.{0,1}.mlp.shared_expert.{w1,w2,w3}",
            severity=Severity.WARNING,
            says="PEFT takes w1, w2, w3 for names of fused experts and leaves 6 linears of these names frozen",
            fix=Remedy("target_parameters", "name their weights as well", ["w1.weight", "w2.weight", "w3.weight"]),
        ),
        Example("toy:targeting.Experts", plan={"target_modules": ["q_proj", "w1", "w2", "w3"]}),
    )
    silent = (
        Example("toy:targeting.Experts", plan={"target_modules": ["q_proj", "k_proj"]}),
        Example(
            "toy:targeting.Experts",
            plan={
                "target_modules": ["w1", "w2", "w3"],
                "target_parameters": [f"shared_expert.w{n}.weight" for n in "123"],
            },
        ),
        Example("toy:targeting.Experts", plan={"target_modules": "all-linear", "exclude_modules": ["w1", "w2", "w3"]}),
        Example("toy:projections.Dense"),
    )

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        skipping = [(trial, found) for trial in blueprint.trials if (found := _skipped(blueprint, trial))]
        if not skipping:
            return
        trial, sites = skipping[0]
        names = ", ".join(dict.fromkeys(site.leaf for site in sites))
        yield self.finding(
            f"PEFT takes {names} for names of fused experts and leaves {len(sites)} linears of these names frozen",
            sites=sites,
            evidence=Evidence.INJECTED,
            remedies=_remedies(blueprint, trial, sites),
            proof=[quote(trial) for trial, _ in skipping],
        )


def _skipped(blueprint: Blueprint, trial: Trial) -> list[Site]:
    """Linears of the scope that the plan asks for, and that the converted plan did not adapt."""
    if trial.raised is not None or not trial.rewritten:
        return []
    done = {*trial.adapted, *trial.reached_through("exclude_modules")}
    linear = (Kind.LINEAR, Kind.LINEAR_SUBCLASS, Kind.CONV1D)
    sites = [site for site in blueprint.projections if site.kind in linear and site.path not in done]
    for setting in ("target_modules", "layers_to_transform"):
        if trial.plan.lora.get(setting) is not None and not trial.plan.says_all:
            reached = trial.reached_through(setting)
            sites = [site for site in sites if site.path in reached]
    return sites


def _remedies(blueprint: Blueprint, trial: Trial, sites: Sequence[Site]) -> list[Remedy]:
    recipe = Remedy("target_parameters", "or adapt all that the scope has: the recipe below", by_recipe=True)
    wanted = [f"{site.path}.weight" for site in sites]
    others = {name for site in blueprint.sites for name in _parameters(site)} - set(wanted)
    names = suffixes(wanted, others)
    if names is None:
        return [recipe]
    parameters = [*trial.plan.named("target_parameters"), *names]
    plan = {**trial.plan.lora, "target_parameters": parameters}
    return [Remedy("target_parameters", "name their weights as well", parameters, plan=plan), recipe]


def _parameters(site: Site) -> Iterable[str]:
    return [site.path] if site.is_parameter else [f"{site.path}.{weight.name}" for weight in site.weights]
