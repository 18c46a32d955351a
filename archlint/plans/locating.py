"""Tie findings to the lines of the file that the user's plan comes from, and remedies to changes there."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

from archlint.core.finding import Finding, PlanLine, Remedy, Severity
from archlint.core.folding import unfold
from archlint.core.trial import Trial
from archlint.plans.plan_file import PlanFile

_PLACING = ("target_modules", "target_parameters", "exclude_modules")


def located(findings: Iterable[Finding], file: PlanFile, trial: Trial) -> Iterator[Finding]:
    """``findings`` about the plan of ``trial``, each with its line in ``file`` and its remedies as changes there."""
    for finding in findings:
        remedies = tuple(_edited(remedy, file, trial) for remedy in finding.remedies)
        yield dataclasses.replace(finding, remedies=remedies, plan_line=_line(finding, file, trial))


def mended(remedy: Remedy) -> dict[str, Any] | None:
    """The plan's arguments as ``remedy`` has them; ``None`` where it is no change of arguments."""
    return None if remedy.plan is None else dict(remedy.plan)


def _edited(remedy: Remedy, file: PlanFile, trial: Trial) -> Remedy:
    new = mended(remedy)
    if new is None or remedy.scope is not None:
        return remedy
    return dataclasses.replace(remedy, edits=file.edits(trial.plan.lora, new))


def _line(finding: Finding, file: PlanFile, trial: Trial) -> PlanLine | None:
    if finding.settings:
        return file.line(list(finding.settings))
    paths = {path for fold in finding.sites for path in unfold(fold.pattern)}
    for entry in trial.entries:
        if not paths.isdisjoint(entry.reaches) and entry.setting in _PLACING:
            return file.line([entry.setting], entry.value)
    for remedy in finding.remedies:
        new = mended(remedy)
        if new is not None:
            old = trial.plan.lora
            changed = [key for key in {**old, **new} if old.get(key) != new.get(key)]
            placing = [key for key in changed if key in _PLACING]
            return file.line([*placing, *_PLACING] if placing else changed)
    is_about_plan = finding.severity is not Severity.INFO or not paths.isdisjoint({*trial.adapted, *trial.reached})
    return file.line(list(_PLACING)) if is_about_plan else None
