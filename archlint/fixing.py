"""Mend the file that a user's plan comes from, one remedy after the other, each checked before the next."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

from archlint.core.finding import Finding, Remedy, Safety, Severity
from archlint.core.report import Report
from archlint.engine import Options, check
from archlint.plans import PlanError, PlanFile, mended

_MOST_STEPS = 12


@dataclass(frozen=True)
class Fixed:
    """A plan's file with remedies applied, which is nowhere written yet."""

    before: PlanFile
    after: PlanFile
    report: Report
    """What is said of the file as it is after."""
    done: tuple[tuple[Finding, Remedy], ...] = ()


def fix(source: str, options: Options, *, unsafe: bool = False) -> Fixed:
    """Apply the proven, exact remedies to the file of ``options``, as long as each leaves the plan better.

    Args:
        source: the model.
        options: how it is checked; ``plan_file`` is what is mended.
        unsafe: take remedies that are lossy, or that could not be proven, as well.
    """
    file = options.plan_file
    assert file is not None  # there is nothing else to mend
    report = check(source, options)
    fixed = Fixed(file, file, report)
    for _ in range(_MOST_STEPS):
        following = next(_steps(source, options, fixed, unsafe), None)
        if following is None:
            break
        fixed = following
    return fixed


def _steps(source: str, options: Options, fixed: Fixed, unsafe: bool) -> Iterator[Fixed]:
    """What one remedy more leads to, for each that betters the plan."""
    trial = fixed.report.plan
    if trial is None:
        return
    tried = set()
    for finding in fixed.report.findings:
        for remedy in sorted(finding.remedies, key=lambda remedy: remedy.by_recipe):  # rather keep what is there
            new = mended(remedy)
            if new is None or not remedy.edits or not (unsafe or (remedy.proven and remedy.safety is Safety.EXACT)):
                continue
            try:
                file = fixed.after.changed(trial.plan.lora, new)
            except PlanError:
                continue
            if file.text in tried:
                continue
            tried.add(file.text)
            report = check(source, dataclasses.replace(options, plan_file=file))
            if finding.fingerprint not in {other.fingerprint for other in report.findings} and _badness(
                report
            ) <= _badness(fixed.report):
                yield Fixed(fixed.before, file, report, (*fixed.done, (finding, remedy)))


def _badness(report: Report) -> tuple[int, ...]:
    return len(report.unchecked), *(len(report.of(severity)) for severity in (Severity.ERROR, Severity.WARNING))
