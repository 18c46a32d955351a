"""ARC303: an adapter on a module that returns a tuple crashes the first forward pass."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from archlint.core.amending import without
from archlint.core.blueprint import Blueprint, Site
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.rule import Example, Rule, by_class, listed
from archlint.core.runs import crashed_sites, quote_run, tuple_sites
from archlint.core.trial import Trial


class TupleOutput(Rule):
    """A plan adapts a layer that returns a tuple, and LoRA adds to it as if it were a tensor.

    ## What it does
    Looks for adapters on layers whose `forward` gives a tuple, and runs the adapted model: such layers are mostly
    routers, which are an `nn.Linear` by type and return scores together with logits.

    ## Why it matters
    PEFT takes the layer by its type and says nothing. Its wrapper then asks the tuple for a `dtype`, in the first
    training step, after the model was downloaded and loaded. `all-linear` reaches these layers, and so does a
    list with their name.

    ## What to do
    Leave the layer out, as the recipe does. The weight of a router can be had through `target_parameters`, where
    the adapter is added to the weight and not to what the layer returns.
    """

    code = "ARC303"
    name = "tuple-output"
    severity = Severity.ERROR
    why = "LoRA adds to what the layer returns as if it were a tensor: the first training step fails."
    fires = (
        Example(
            "toy:experts.TupleLinearRouter",
            at="layers.{0,1}.mlp.gate",
            severity=Severity.ERROR,
            says="an adapter on gate crashes the first forward pass: TupleRouter returns a tuple",
            fix=Remedy("exclude_modules", "leave gate out", ["gate"]),
        ),
        Example("toy:experts.TupleLinearRouter", plan={"target_modules": ["gate"]}, severity=Severity.ERROR),
    )
    silent = (
        Example("toy:experts.LinearRouter"),
        Example("toy:experts.TupleLinearRouter", plan={"target_modules": ["q_proj"]}),
        Example("toy:experts.TupleLinearRouter", plan={"target_parameters": ["gate.weight"]}),
        Example("toy:projections.Grouped"),
    )

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        # a run stops at the first crash: what is behind that one has not been seen
        found = {trial.plan.name: tuple_sites(blueprint, trial) for trial in blueprint.trials if trial.forward != "ok"}
        for sites in by_class(dict.fromkeys(site for chosen in found.values() for site in chosen)):
            trials = [trial for trial in blueprint.trials if set(sites) & set(found.get(trial.plan.name, ()))]
            yield self._crashing(blueprint, trials, sites)

    def _crashing(self, blueprint: Blueprint, trials: Sequence[Trial], sites: Sequence[Site]) -> Finding:
        seen = any(set(sites).intersection(crashed_sites(blueprint, trial)) for trial in trials)
        names = listed(site.leaf for site in sites)
        return self.finding(
            f"an adapter on {names} crashes the first forward pass: {sites[0].type.name} returns a tuple",
            sites=sites,
            evidence=Evidence.FORWARDED if seen else Evidence.INJECTED,
            remedies=without(trials, frozenset(site.path for site in sites), f"leave {names} out"),
            proof=[quote_run(trial) for trial in trials],
        )
