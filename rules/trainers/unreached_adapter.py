"""ARC709: an adapter that trains with the model's own forward gets no gradient from a trainer."""

from __future__ import annotations

from collections.abc import Iterable

from archlint.core import amending
from archlint.core.blueprint import Blueprint, Site
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.rule import Example, Rule, listed
from archlint.core.trainers import named, version
from archlint.core.training import Trainer
from archlint.core.trial import Trial


class UnreachedAdapter(Rule):
    """A plan adapts layers between backbone and head, which a trainer does without.

    ## What it does
    Looks for adapters on layers that the model's own forward uses between its last hidden state and its logits, and
    that the trainer's does not (ARC701). With `--trial-train`, also for adapters that got no gradient from the
    installed SFTTrainer on a small copy, and do from the model's own loss.

    ## Why it matters
    The adapters are in the file that is saved, and were never trained: they are as they were made. Distributed
    training raises at parameters without a gradient.

    ## What to do
    Leave these layers out of the targets, or train with transformers' Trainer.
    """

    code = "ARC709"
    name = "unreached-adapter"
    severity = Severity.WARNING
    why = "The trainer never runs these layers: their adapters stay as they were made."
    fires = (
        Example(
            "toy:trainers.Transformed",
            plan={"target_modules": ["q_proj", "dense"]},
            at="dense",
            severity=Severity.WARNING,
            trainers=[Trainer.SFT],
            says="adapters on dense get no gradient from SFTTrainer",
            fix=Remedy("target_modules", "leave dense out", ["q_proj"]),
        ),
    )
    silent = (
        Example("toy:trainers.Transformed", plan={"target_modules": ["q_proj"]}, trainers=[Trainer.SFT]),
        Example(
            "toy:trainers.Transformed", plan={"target_modules": ["q_proj", "dense"]}, trainers=[Trainer.TRANSFORMERS]
        ),
        Example("toy:trainers.Plain", plan={"target_modules": ["q_proj"]}, trainers=[Trainer.SFT]),
    )

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        trial = blueprint.plan
        if trial is None:
            return
        training = blueprint.training
        skipped = training.tail.passes_over(trial)
        if training.bypassing and training.fused is None and (sites := _sites(blueprint, skipped)):
            yield self._finding(trial, sites, f"{named(training.bypassing)} of {version(training)}", training.bypassing)
        if (trained := training.trained) is not None:
            known = {*skipped, *trial.dead, *trial.saved_dead}
            if sites := _sites(blueprint, (path for path in trained.dead if path not in known)):
                who = f"two steps of {trained.trainer.label} of TRL {trained.version} on a small copy"
                yield self._finding(trial, sites, who, [trained.trainer])

    def _finding(self, trial: Trial, sites: list[Site], who: str, trainers: Iterable[Trainer]) -> Finding:
        names = listed(site.name for site in sites)
        return self.finding(
            f"adapters on {names} get no gradient from {named(tuple(trainers))}",
            sites=sites,
            evidence=Evidence.FORWARDED,
            remedies=amending.without([trial], {site.path for site in sites}, f"leave {names} out"),
            proof=[f"{who} → {len(sites)} without a gradient, which the model's own loss gives them"],
            trainers=tuple(trainers),
        )


def _sites(blueprint: Blueprint, paths: Iterable[str]) -> list[Site]:
    return [blueprint.by_path[path] for path in paths if path in blueprint.by_path]
