"""ARC507: what a plan trains gets no gradient, or none but zero: it is created, saved and counted for nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from archlint.core.amending import unsaved, without
from archlint.core.blueprint import Blueprint, Kind, Site, Trait
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.rule import Example, Rule, listed, quote
from archlint.core.runs import cause_of_death, owner, quote_run
from archlint.core.suffixes import suffixes
from archlint.core.trial import Mute, Trial

_MUTED = {
    Mute.SCALING: "their scaling is 0, and so is what comes of them",
    Mute.DROPOUT: "their dropout is 1, and leaves nothing of their input",
}
_MUTING = {Mute.SCALING: (0, ("lora_alpha", "alpha", "alpha_pattern")), Mute.DROPOUT: (1, ("lora_dropout",))}
"""The value that does it, and the settings that may have it."""


@dataclass(frozen=True, slots=True)
class _Loss:
    """Why an adapter trains nothing, and how that is known."""

    reason: str
    evidence: Evidence
    severity: Severity


class DeadAdapter(Rule):
    """A plan trains a layer of what is to be trained, and it gets no gradient.

    ## What it does
    Runs the adapted model forward and backward and asks which adapters have no gradient, and why: the layer's
    weight is read and the layer never called, the batch does not use the layer, or what it computes is used
    without gradient. It asks the same of the modules that `modules_to_save` trains in full. Towers and connectors
    beside what is to be trained are ARC602. Where code for fused GPU kernels reads a weight past its layer, and
    other code calls the layer, that is told too: the run, which has no GPU, cannot show it. Adapters with a
    scaling of 0 (`lora_alpha=0`), or a dropout of 1, have gradients, and these are zero.

    ## Why it matters
    The adapter is created, saved and counted among the trainable parameters, and stays as it began. Nothing is
    raised, unless distributed training finds an unused parameter.

    ## What to do
    Leave these layers out, as the recipe does. Or, if the batch does not use them, give one that does: images
    for a cross-attention to images. Where a setting multiplies the adapters by zero, change the setting.
    """

    code = "ARC507"
    name = "dead-adapter"
    severity = Severity.WARNING
    why = "An adapter without a gradient costs memory, is saved and counted, and stays as it began."
    fires = (
        Example(
            "toy:running.Indexed",
            at="layers.{0,1}.indexer",
            severity=Severity.WARNING,
            says="adapters on indexer get no gradient: nothing of the loss flows back through it, as under "
            "torch.no_grad()",
            fix=Remedy("exclude_modules", "leave indexer out", ["indexer"]),
        ),
        Example("toy:running.ReadPast", plan={"target_modules": "all-linear"}, at="layers.{0,1}.dt_proj"),
        Example("toy:running.HandedOver", plan={"target_modules": ["dt_proj", "q_proj"]}, at="layers.{0,1}.dt_proj"),
        Example("toy:running.CrossAttended", at="cross_attn.{q,k,v,o}_proj", severity=Severity.WARNING),
        Example("toy:running.FusedKernel", plan={"target_modules": ["in_proj", "out_proj"]}, severity=Severity.INFO),
        Example("toy:running.FusedKernel", at="layers.{0,1}.out_proj", severity=Severity.INFO),
        Example(
            "toy:running.CrossAttended",
            plan={"target_modules": ["layers.0.q_proj"], "modules_to_save": ["cross_attn"]},
            at="cross_attn",
            severity=Severity.WARNING,
        ),
        Example(
            "toy:projections.Dense",
            plan={"target_modules": ["q_proj"], "lora_alpha": 0},
            at="layers.{0,1}.q_proj",
            severity=Severity.WARNING,
        ),
    )
    silent = (
        Example("toy:running.Indexed", plan={"target_modules": ["q_proj", "v_proj"]}),
        Example("toy:running.FusedKernel", plan={"target_modules": ["in_proj"]}),
        Example("toy:towers.Captioner"),
        Example("toy:projections.Dense"),
    )

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        by_trial = [(trial, dict(_losses(blueprint, trial))) for trial in blueprint.trials]
        for loss in dict.fromkeys(loss for _, losses in by_trial for loss in losses.values()):
            hits = [(trial, losses) for trial, losses in by_trial if loss in losses.values()]
            sites = dict.fromkeys(site for _, losses in hits for site, why in losses.items() if why == loss)
            yield self.finding(
                f"adapters on {_names(sites, hits[0][0])} {loss.reason}",
                sites=sites,
                severity=loss.severity,
                evidence=loss.evidence,
                remedies=_remedies(loss, *hits[0]),
                proof=[quote_run(trial) for trial, _ in hits],
            )
        for trial in blueprint.trials:
            yield from self._saved(blueprint, trial)
            yield from self._muted(blueprint, trial)

    def _saved(self, blueprint: Blueprint, trial: Trial) -> Iterator[Finding]:
        """What is trained in full, but for the parts of other scopes (ARC602)."""
        others = set(blueprint.outside(trial.saved_dead))
        sites = [site for path in trial.saved_dead if (site := blueprint.by_path[path]) not in others]
        for reason in dict.fromkeys(cause_of_death(blueprint, site) for site in sites):
            dead = [site for site in sites if cause_of_death(blueprint, site) == reason]
            text = f"leave {_names(dead, trial)} out"
            recipe = Remedy("target_modules", f"{text}: the recipe below", by_recipe=True)
            yield self.finding(
                f"the copies of {_names(dead, trial)} that are to be saved get no gradient: {reason}",
                sites=dead,
                evidence=Evidence.FORWARDED,
                remedies=unsaved(trial, trial.saved_dead, text) or [recipe],
                proof=[quote_run(trial)],
                settings=["modules_to_save"],
            )

    def _muted(self, blueprint: Blueprint, trial: Trial) -> Iterator[Finding]:
        for mute in dict.fromkeys(trial.muted.values()):
            sites = [blueprint.by_path[path] for path, why in trial.muted.items() if why is mute]
            settings, rest = _without_value(trial.plan.lora, *_MUTING[mute])
            remedy = Remedy("setting", f"leave {' and '.join(settings)} at PEFT's default", plan=rest)
            yield self.finding(
                f"adapters on {_names(sites, trial)} train nothing: {_MUTED[mute]}",
                sites=sites,
                evidence=Evidence.INJECTED,
                remedies=[remedy] if settings else [Remedy("setting", "take the recipe below", by_recipe=True)],
                proof=[quote(trial)],
                settings=settings,
            )


def _without_value(lora: Mapping[str, Any], value: object, settings: Iterable[str]) -> tuple[list[str], dict[str, Any]]:
    """Those of ``settings`` that are ``value`` or hold it for some layers, and the plan without it."""
    rest, found = dict(lora), []
    for setting in settings:
        given = lora.get(setting)
        if isinstance(given, Mapping) and value in given.values():
            found.append(setting)
            rest[setting] = {key: other for key, other in given.items() if other != value}
        elif setting in lora and given == value:
            found.append(setting)
            del rest[setting]
    return found, rest


def _losses(blueprint: Blueprint, trial: Trial) -> Iterator[tuple[Site, _Loss]]:
    """The adapted sites beside other scopes' that train nothing, and why."""
    kernels = {read.path: read for read in blueprint.baseline.reads if read.only is not None}
    dead = frozenset(trial.dead)
    for site in _own(blueprint, trial):
        if site.path in dead:
            reason = f"get no gradient: {cause_of_death(blueprint, site)}"
            yield site, _Loss(reason, Evidence.FORWARDED, Severity.WARNING)
        elif trial.forward != "ok" and Trait.BYPASSED in site.traits:
            reader = blueprint.by_path[site.parent].type.name
            reason = f"take no part: {reader} reads the weight and never calls the layer"
            yield site, _Loss(reason, Evidence.STATIC, Severity.WARNING)
        elif (read := kernels.get(owner(site))) is not None:
            seen = "; the run, which has no GPU, gave them a gradient" if trial.forward == "ok" else ""
            reason = f"take no part where fused GPU kernels are used: {read.only} reads the weight at {read}{seen}"
            yield site, _Loss(reason, Evidence.STATIC, Severity.INFO)


def _own(blueprint: Blueprint, trial: Trial) -> Iterator[Site]:
    """The adapted sites but for those of other scopes (ARC602) and inside torch's own attention (ARC106)."""
    others = set(blueprint.outside(trial.adapted))
    inside = {f"{site.path}." for site in blueprint.select(Kind.ATTENTION)}
    for path in trial.adapted:
        site = blueprint.by_path.get(path)
        if site is not None and site not in others and f"{site.parent}." not in inside:
            yield site


def _names(sites: Iterable[Site], trial: Trial) -> str:
    """The last names of ``sites``, with as much before them as tells them from what else the plan adapts."""
    paths = [site.path for site in sites]
    names = suffixes(paths, [path for path in trial.adapted if path not in paths])
    return listed(names or (path.rpartition(".")[2] for path in paths))


def _remedies(loss: _Loss, trial: Trial, losses: Mapping[Site, _Loss]) -> list[Remedy]:
    """All that trains nothing is left out at once: less of it would not mend the finding."""
    if loss.severity is Severity.INFO:
        return []
    sites = [site for site, other in losses.items() if other.severity is not Severity.INFO]
    text = f"leave {_names(sites, trial)} out"
    if any(site.is_parameter for site in sites):
        return [Remedy("target_modules", f"{text}: the recipe below", by_recipe=True)]
    return without([trial], frozenset(site.path for site in sites), text)
