"""ARC516: the rank of an adapter is larger than the weight that it is added to."""

from __future__ import annotations

from collections.abc import Iterable

from archlint.core.blueprint import Blueprint, Site
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.rule import Example, Rule, quote
from archlint.core.trial import LORA, Trial

_DEFAULT_RANK = 8
"""LoraConfig's own ``r``."""


class OversizedRank(Rule):
    """The rank of an adapter exceeds the smaller dimension of its weight.

    ## What it does
    Compares `r` and `rank_pattern` of a LoRA plan with the dimensions of each weight that it adapts.

    ## Why it matters
    A change of a matrix has no higher rank than its smaller dimension. What goes beyond trains, costs memory and
    is saved, and adds nothing. It happens to small heads and gates, and to ranks that were meant for large models. A
    plan that trains more parameters than the model has gets a warning.

    ## What to do
    Give these layers a rank of their own in `rank_pattern`, or lower `r`.
    """

    code = "ARC516"
    name = "oversized-rank"
    severity = Severity.WARNING
    why = "A change of a matrix has no higher rank than its smaller dimension: what goes beyond adds nothing."
    fires = (
        Example(
            "toy:projections.Dense",
            plan={"target_modules": ["q_proj"], "r": 512},
            severity=Severity.WARNING,
            says="rank 512 is larger than the smaller dimension of the weights: q_proj 8; 16,384 parameters are "
            "trained, and the model has 576",
            fix=Remedy("setting", "rank_pattern={'q_proj': 8}", {"rank_pattern": {"q_proj": 8}}),
        ),
        Example(
            "toy:projections.Dense",
            plan={"target_modules": ["q_proj"], "rank_pattern": {"q_proj": 10}},
            severity=Severity.INFO,
        ),
    )
    silent = (
        Example("toy:projections.Dense", plan={"target_modules": ["q_proj"], "r": 4}),
        Example("toy:projections.Dense", plan={"target_modules": ["q_proj"], "r": 512, "rank_pattern": {"q_proj": 2}}),
        Example("toy:projections.Dense"),
    )

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        plan = blueprint.plan
        if plan is None or plan.raised is not None or plan.plan.tuner != LORA:
            return
        ranks = {path: _rank(plan, path) for path in plan.adapted}
        sites = [blueprint.by_path[path] for path, rank in ranks.items() if rank > _smaller(blueprint.by_path[path])]
        if sites:
            limits: dict[str, int] = {}
            for site in sites:
                limits[_key(site)] = min(_smaller(site), limits.get(_key(site), _smaller(site)))
            most = max(ranks[site.path] for site in sites)
            listed = ", ".join(f"{name} {limit}" for name, limit in limits.items())
            given = plan.plan.lora.get("rank_pattern") or {}
            pattern = {**{key: rank for key, rank in given.items() if key not in limits}, **limits}
            total = blueprint.model.parameters
            trained = plan.trainable or 0
            exceeds = trained > total
            more = f"; {trained:,} parameters are trained, and the model has {total:,}" if exceeds else ""
            yield self.finding(
                f"rank {most} is larger than the smaller dimension of the weights: {listed}{more}",
                sites=sites,
                severity=Severity.WARNING if exceeds else Severity.INFO,
                evidence=Evidence.INJECTED,
                remedies=[
                    Remedy(
                        "setting",
                        f"rank_pattern={pattern}",
                        {"rank_pattern": pattern},
                        plan={**plan.plan.lora, "rank_pattern": pattern},
                    )
                ],
                proof=[quote(plan)],
                settings=["rank_pattern"] if any(_key(site) in given for site in sites) else ["r"],
            )


def _key(site: Site) -> str:
    """What ``rank_pattern`` calls it: the name of a parameter alone may be that of many."""
    return f"{site.parent.rpartition('.')[2]}.{site.leaf}" if site.is_parameter else site.leaf


def _rank(trial: Trial, path: str) -> int:
    pattern = trial.plan.lora.get("rank_pattern") or {}
    for entry in trial.entries:
        if entry.setting == "rank_pattern" and path in entry.reaches:
            return int(pattern[entry.value])
    return int(trial.plan.lora.get("r") or _DEFAULT_RANK)


def _smaller(site: Site) -> int:
    """The smaller dimension of a site's matrix, or of each of its stacked ones."""
    return min(min(weight.shape[-2:]) for weight in site.weights if len(weight.shape) >= 2)
