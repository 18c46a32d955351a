"""ARC302: a router keeps its weight as a bare parameter, so PEFT cannot wrap it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from archlint.core.amending import as_parameters, without
from archlint.core.blueprint import Blueprint, Kind, Site, Trait
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.rule import Example, Rule, by_class, listed, quote
from archlint.core.suffixes import reached_by
from archlint.core.trial import Trial


class RawRouter(Rule):
    """The layer that chooses the experts is no `nn.Linear`: it multiplies with a parameter of its own.

    ## What it does
    Looks for routers that are no linear layer, and for plans whose names reach them.

    ## Why it matters
    Names in `target_modules` mean modules, and PEFT has no adapter for such a module: a plan that names it
    raises. For some model types PEFT turns the router's former name into `target_parameters` by itself.

    ## What to do
    Leave the router frozen, which is what fine-tuning mostly wants: it decides which expert sees which token. To
    adapt it all the same, name its weight in `target_parameters`.
    """

    code = "ARC302"
    name = "raw-router"
    severity = Severity.ERROR
    why = "PEFT has no adapter for the router's class: a plan that names it raises before training starts."
    fires = (
        Example("toy:experts.TopKMoe", at="layers.{0,1}.mlp.gate", severity=Severity.INFO),
        Example(
            "toy:experts.TopKMoe",
            plan={"target_modules": ["q_proj", "gate"]},
            at="layers.{0,1}.mlp.gate",
            severity=Severity.ERROR,
            says="TopKRouter chooses among 4 experts with a bare parameter; the plan targets gate and PEFT refuses it",
            fix=Remedy("target_modules", "leave the router frozen", ["q_proj"]),
        ),
        Example("type:qwen3_moe", plan={"target_modules": ["q_proj", "gate"]}, severity=Severity.INFO),
    )
    silent = (Example("toy:experts.LinearRouter"), Example("toy:experts.Dense"))

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        raw = blueprint.select(Kind.ROUTER, where=lambda s: not s.is_parameter and Trait.SUPPORTED not in s.traits)
        for sites in by_class(raw):
            paths = frozenset(site.path for site in sites)
            refused = [trial for trial in blueprint.trials if trial.refuses(paths)]
            message = f"{sites[0].type.name} {_work(blueprint, sites)} with a bare parameter"
            if refused:
                yield self.finding(
                    f"{message}; the plan targets {listed(site.leaf for site in sites)} and PEFT refuses it",
                    sites=sites,
                    evidence=Evidence.INJECTED,
                    remedies=[
                        *without(refused, paths, "leave the router frozen"),
                        *_by_parameter(blueprint, refused[0], sites),
                    ],
                    proof=[quote(trial) for trial in refused],
                )
            else:
                fate = _fate(blueprint, _weights(blueprint, sites))
                yield self.finding(f"{message}: {fate}", sites=sites, severity=Severity.INFO)


def _work(blueprint: Blueprint, sites: Sequence[Site]) -> str:
    """What it does, with the number of experts where its weight tells."""
    counts = {parameter.weights[0].shape[0] for parameter in _weights(blueprint, sites)}
    return f"chooses among {counts.pop()} experts" if len(counts) == 1 else "chooses experts"


def _fate(blueprint: Blueprint, weights: Sequence[Site]) -> str:
    """What the plans do with the router's parameter, those that PEFT refuses for something else included."""
    paths = [weight.path for weight in weights]
    if any(path in trial.adapted for trial in blueprint.trials for path in paths):
        return "PEFT adapts it as one"
    named = (name for trial in blueprint.trials for name in trial.rewritten.get("target_parameters", ()))
    if any(reached_by(name, paths) for name in named):
        return "PEFT takes it as one"
    if all(trial.raised is not None for trial in blueprint.trials):
        return "names of modules do not reach it"
    return "LoRA leaves it frozen"


def _weights(blueprint: Blueprint, sites: Sequence[Site]) -> list[Site]:
    owners = {site.path for site in sites}
    return [site for site in blueprint.select(Kind.ROUTER) if site.is_parameter and site.parent in owners]


def _by_parameter(blueprint: Blueprint, trial: Trial, sites: Sequence[Site]) -> Iterator[Remedy]:
    names, plan = as_parameters(blueprint, trial, sites, _weights(blueprint, sites))
    if plan is not None:
        yield Remedy("target_parameters", "or adapt its weight as a parameter", value=names, plan=plan)
