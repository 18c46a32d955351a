"""ARC107: a plan reaches a layer of a class that PEFT has no adapter for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from archlint.core.amending import as_parameters, without
from archlint.core.blueprint import Blueprint, Site
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.refusals import Cause, cause, culprit
from archlint.core.rule import Example, Rule, quote
from archlint.core.trial import Trial


class UnsupportedProjection(Rule):
    """A plan names a layer with weights whose class PEFT does not know, or does not take with these settings.

    ## What it does
    Reports the layer at which PEFT raised, where it is none that another rule knows: no wrapper, norm, router,
    container or module of experts. It may be a linear layer that is no `nn.Linear`, a transposed or grouped
    convolution, or torch's attention with DoRA.

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
        ),
        Example(
            "toy:projections.Pooled",
            plan={"target_modules": ["q_proj", "pool"], "use_dora": True},
            at="pool",
            severity=Severity.ERROR,
        ),
    )
    silent = (Example("toy:projections.Unsupported"), Example("toy:projections.Dense"))

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        for trial in blueprint.trials:
            site = culprit(blueprint, trial)
            if site is None or cause(blueprint, trial) not in (Cause.UNSUPPORTED, Cause.OTHER):
                continue
            reached = [other for other in blueprint.select(site.kind) if other.path in trial.reached]
            alike = [other for other in reached if other.type == site.type]
            yield self.finding(
                f"PEFT refuses {site.type.name}: {_reason(trial)}",
                sites=alike,
                evidence=Evidence.INJECTED,
                remedies=[*_leaving_out(trial, alike), *_by_parameter(blueprint, trial, alike)],
                proof=[quote(trial)],
            )


def _reason(trial: Trial) -> str:
    """What PEFT said, without the printed module."""
    assert trial.raised is not None
    if trial.raised.message.startswith("Target module"):
        return "it has no adapter for this class"
    return " ".join(trial.raised.message.split())


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
