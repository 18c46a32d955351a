"""What running an adapted model says of its sites: which one it crashed at, and what came of a plan in words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from archlint.core.blueprint import Blueprint, Site, Trait
from archlint.core.finding import Finding, Location
from archlint.core.folding import without_indices
from archlint.core.rule import spell
from archlint.core.suffixes import reached_by
from archlint.core.trial import Baseline, Crash, Ground, Trial


def crashed_sites(blueprint: Blueprint, trial: Trial) -> tuple[Site, ...]:
    """The adapted sites that the run of ``trial`` crashed at, in every layer that has them.

    That is the nearest site at or above the module that was running; where there is none, the sites directly
    below it. Empty where the run did not crash, or crashed away from any adapter.
    """
    at = trial.crash.at if trial.crash is not None else None
    if not at:
        return ()
    adapted = [blueprint.by_path[path] for path in trial.adapted if path in blueprint.by_path]
    above = [site for site in adapted if f"{at}.".startswith(f"{owner(site)}.")]
    deepest = max(map(len, map(owner, above)), default=0)
    nearest = [site for site in above if len(owner(site)) == deepest]
    if not above:
        nearest = [site for site in adapted if owner(site).rpartition(".")[0] == at]
    alike = {(site.type, without_indices(site.path)) for site in nearest}
    return tuple(site for site in adapted if (site.type, without_indices(site.path)) in alike)


def owner(site: Site) -> str:
    """The path of the module that PEFT puts an adapter on for ``site``."""
    return site.parent if site.is_parameter else site.path


def tuple_sites(blueprint: Blueprint, trial: Trial) -> tuple[Site, ...]:
    """The sites that return a tuple and hold an adapter of ``trial``, which takes what it gets for a tensor.

    An adapter on the weight of such a layer leaves what the layer returns alone.
    """
    by_weight = [*trial.plan.named("target_parameters"), *trial.rewritten.get("target_parameters", ())]
    sites = (blueprint.by_path[path] for path in trial.adapted if path in blueprint.by_path)
    return tuple(
        site
        for site in sites
        if Trait.RETURNS_TUPLE in site.traits
        and not site.is_parameter
        and not any(reached_by(name, site.parameters) for name in by_weight)
    )


def quote_run(trial: Trial) -> str:
    """A trial in one line: the plan and what the run of the adapted model came to."""
    if trial.crash is not None:
        outcome = str(trial.crash)
    else:
        dead = f", {len(trial.dead)} without a gradient" if trial.dead else ""
        outcome = f"{len(trial.adapted)} adapters{dead}"
    where = " (a small copy was run)" if trial.ground is Ground.COPY else ""
    return f"{spell(trial)} → {' '.join(outcome.split())}{where}"


def is_idle(baseline: Baseline, site: Site) -> bool:
    """Whether the batch of ``baseline`` leaves ``site`` unused."""
    return any(f"{site.path}.".startswith(f"{part}.") for part in baseline.idle)


def batch_of(names: Iterable[str]) -> str:
    """What a batch holds, in words."""
    return f"a batch of {', '.join(names)}"


def plain_batch(baseline: Baseline) -> str:
    """The batch of ``baseline`` without what it had to be given beyond a plain one, in words."""
    return batch_of(name for name in baseline.inputs if name not in baseline.extra)


def located(finding: Finding, crash: Crash | None) -> Finding:
    """``finding`` at the line of ``crash``, unless it is about a class whose own place is known."""
    if finding.location is not None or crash is None or crash.file is None or crash.line is None:
        return finding
    return replace(finding, location=Location(crash.file, crash.line))


def cause_of_death(blueprint: Blueprint, site: Site) -> str:
    """Why an adapter on ``site`` gets no gradient, as far as the run of the model tells."""
    baseline = blueprint.baseline
    for read in baseline.reads:
        if read.only is None and read.path == owner(site):
            return f"the weight is read at {read} and the layer is never called"
    if is_idle(baseline, site):
        return f"{batch_of(baseline.inputs)} does not use it"
    return "nothing of the loss flows back through it, as under torch.no_grad()"
