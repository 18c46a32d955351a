"""Mend the file that a user's plan comes from, one remedy after the other, each checked before the next."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from archlint.core.finding import Finding, Remedy, Severity
from archlint.core.report import Report
from archlint.core.safety import Safety
from archlint.core.trial import Plan
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

    @property
    def unsafe(self) -> Iterator[tuple[Finding, Remedy]]:
        """What is left that only a remedy mends which is lossy or could not be proven: the first one of each."""
        for finding in _worth(self.report):
            found = (remedy for remedy in finding.remedies if remedy.edits and not _is_safe(remedy))
            if (first := next(found, None)) is not None:
                yield finding, first


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
    for finding in _worth(fixed.report):
        for remedy in sorted(finding.remedies, key=lambda remedy: remedy.by_recipe):  # rather keep what is there
            if not remedy.edits or not (unsafe or _is_safe(remedy)):
                continue
            try:
                file = _changed(fixed.after, trial.plan, remedy)
            except PlanError:
                continue
            if file.text in tried:
                continue
            tried.add(file.text)
            report = judge(dataclasses.replace(options, plan_file=file))
            left = {other.fingerprint for other in report.findings if other.severity.rank <= finding.severity.rank}
            if finding.fingerprint not in left and _badness(report) <= _badness(fixed.report):
                yield Fixed(fixed.before, file, report, (*fixed.done, (finding, remedy)))


def _changed(file: PlanFile, plan: Plan, remedy: Remedy) -> PlanFile:
    """``file`` with ``remedy`` in it.

    Raises:
        PlanError: the tool has no way to say it, or the file cannot be changed without touching something else.
    """
    if remedy.training is not None:
        return file.training_changed(remedy.training)
    assert remedy.plan is not None  # there are no other remedies with edits
    return file.changed(plan.lora, remedy.plan)


def _worth(report: Report) -> Iterator[Finding]:
    return (finding for finding in report.findings if finding.severity is not Severity.INFO)


def _is_safe(remedy: Remedy) -> bool:
    return remedy.proven and remedy.safety is Safety.EXACT


def _badness(report: Report) -> tuple[int, ...]:
    return len(report.unchecked), *(len(report.of(severity)) for severity in (Severity.ERROR, Severity.WARNING))
