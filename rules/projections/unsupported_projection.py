"""ARC107: a plan reaches a layer of a class that PEFT has no adapter for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from archlint.core.amending import as_parameters, without
from archlint.core.blueprint import Blueprint, Site
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.refusals import Cause, cause, culprit
from archlint.core.rule import Example, Rule, listed, quote
from archlint.core.trial import Trial


class UnsupportedProjection(Rule):
    """A plan names a layer with weights whose class PEFT does not know.

    ## What it does
    Reports the layer at which PEFT raised, where it holds weights and is none that another rule knows: no
    wrapper, norm, router or module of experts. It may be a linear layer that is no `nn.Linear`, a recurrent
    layer, or a transposed convolution.

    ## Why it matters
    One refused layer stops the whole adapter: `get_peft_model` raises before training starts.

    ## What to do
    Leave the layer out. Where its matrices are bare parameters, `target_parameters` may reach them.
    """

    code = "ARC107"
    name = "unsupported-projection"
    severity = Severity.ERROR
    why = "PEFT has no adapter for this layer: get_peft_model raises and nothing is trained."
    fires = (
        Example(
            "toy:projections.Unsupported",
            plan={"target_modules": ["q_proj", "out"]},
            at="out",
            severity=Severity.ERROR,
            says="PEFT has no adapter for OwnLinear, which the plan targets as out",
            fix=Remedy("target_modules", "leave OwnLinear out", ["q_proj"]),
        ),
    )
    silent = (Example("toy:projections.Unsupported"), Example("toy:projections.Dense"))

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        for trial in blueprint.trials:
            site = culprit(blueprint, trial)
            if site is None or cause(blueprint, trial) is not Cause.UNSUPPORTED:
                continue
            reached = [other for other in blueprint.select(site.kind) if other.path in trial.reached]
            alike = [other for other in reached if other.type == site.type]
            yield self.finding(
                f"PEFT has no adapter for {site.type.name}, which the plan targets as {listed(s.leaf for s in alike)}",
                sites=alike,
                evidence=Evidence.INJECTED,
                remedies=[*_leaving_out(trial, alike), *_by_parameter(blueprint, trial, alike)],
                proof=[quote(trial)],
            )


def _leaving_out(trial: Trial, sites: Sequence[Site]) -> list[Remedy]:
    paths = frozenset(site.path for site in sites)
    return without([trial], paths, f"leave {sites[0].type.name} out")


def _by_parameter(blueprint: Blueprint, trial: Trial, sites: Sequence[Site]) -> Iterator[Remedy]:
    """Reach the layers' bare matrices instead, where they have any."""
    owners = {site.path for site in sites}
    matrices = [site for site in blueprint.sites if site.is_parameter and site.parent in owners]
    names, plan = as_parameters(blueprint, trial, sites, matrices)
    if plan is not None:
        yield Remedy("target_parameters", "or adapt its matrices as parameters", value=names, plan=plan)
