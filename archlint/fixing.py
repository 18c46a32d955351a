"""Mend the file that a user's plan comes from, one remedy after the other, each checked before the next."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from archlint.core.finding import Finding, Remedy, Safety, Severity
from archlint.core.report import Report
from archlint.engine import Options, checking
from archlint.plans import PlanError, PlanFile

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
    with checking(source, options) as judge:
        fixed = Fixed(file, file, judge(options))
        for _ in range(_MOST_STEPS):
            following = next(_steps(judge, options, fixed, unsafe), None)
            if following is None:
                break
            fixed = following
    return fixed


def _steps(judge: Callable[[Options], Report], options: Options, fixed: Fixed, unsafe: bool) -> Iterator[Fixed]:
    """What one remedy more leads to, for each that betters the plan."""
    trial = fixed.report.plan
    if trial is None:
        return
    tried = set()
    worth = (finding for finding in fixed.report.findings if finding.severity is not Severity.INFO)
    for finding in worth:
        for remedy in sorted(finding.remedies, key=lambda remedy: remedy.by_recipe):  # rather keep what is there
            safe = remedy.proven and remedy.safety is Safety.EXACT
            if remedy.plan is None or not remedy.edits or not (unsafe or safe):
                continue
            try:
                file = fixed.after.changed(trial.plan.lora, remedy.plan)
            except PlanError:
                continue
            if file.text in tried:
                continue
            tried.add(file.text)
            report = judge(dataclasses.replace(options, plan_file=file))
            left = {other.fingerprint for other in report.findings if other.severity.rank <= finding.severity.rank}
            if finding.fingerprint not in left and _badness(report) <= _badness(fixed.report):
                yield Fixed(fixed.before, file, report, (*fixed.done, (finding, remedy)))


def _badness(report: Report) -> tuple[int, ...]:
    return len(report.unchecked), *(len(report.of(severity)) for severity in (Severity.ERROR, Severity.WARNING))
