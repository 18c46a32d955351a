"""Tie findings to the lines of the file that the user's plan comes from, and remedies to changes there."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from archlint.core.finding import Finding, PlanLine, Remedy, Severity
from archlint.core.folding import unfold
from archlint.core.trial import Trial
from archlint.plans.plan_file import PLACING, PlanFile, differing


def located(findings: Iterable[Finding], file: PlanFile, trial: Trial) -> Iterator[Finding]:
    """``findings`` about the plan of ``trial``, each with its line in ``file`` and its remedies as changes there."""
    for finding in findings:
        remedies = tuple(_edited(remedy, file, trial) for remedy in finding.remedies)
        yield dataclasses.replace(finding, remedies=remedies, plan_line=_line(finding, file, trial))


def _edited(remedy: Remedy, file: PlanFile, trial: Trial) -> Remedy:
    if remedy.training is not None:
        return dataclasses.replace(remedy, edits=file.training_edits(remedy.training))
    if remedy.plan is None or remedy.scope is not None:
        return remedy
    return dataclasses.replace(remedy, edits=file.edits(trial.plan.lora, remedy.plan))


def _line(finding: Finding, file: PlanFile, trial: Trial) -> PlanLine | None:
    if any(remedy.training is not None for remedy in finding.remedies):
        return file.training_line(finding.settings)
    if finding.trainers and not finding.settings and not finding.sites:
        return None  # it is about the model, with any plan
    if finding.settings:
        return file.line(finding.settings, finding.values)
    paths = {path for fold in finding.sites for path in unfold(fold.pattern)}
    for entry in trial.entries:
        if not paths.isdisjoint(entry.reaches) and entry.setting in PLACING:
            return file.line([entry.setting], [entry.value])
    for remedy in finding.remedies:
        if remedy.plan is not None:
            changed = differing(trial.plan.lora, remedy.plan)
            placing = [key for key in changed if key in PLACING]
            return file.line([*placing, *PLACING] if placing else changed)
    is_about_plan = finding.severity is not Severity.INFO or not paths.isdisjoint({*trial.adapted, *trial.reached})
    return file.line(list(PLACING)) if is_about_plan else None
