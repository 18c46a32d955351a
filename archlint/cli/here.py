"""Reports with the names of files changed: below the working directory by the way from there, as people name them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archlint.core.comparison import Difference
    from archlint.core.finding import Finding, Location
    from archlint.core.report import Report, Run
    from archlint.core.trial import Trial

Change = Callable[[str], str]


def named_from_here(run: Run) -> Run:
    """``run`` for readers: programs that show lines need files in full."""
    change = _from_here()
    return dataclasses.replace(run, reports=tuple(renamed(report, change) for report in run.reports))


def compared_from_here(difference: Difference) -> Difference:
    """Likewise."""
    change = _from_here()
    comparisons = (
        dataclasses.replace(
            one,
            before=None if one.before is None else renamed(one.before, change),
            after=None if one.after is None else renamed(one.after, change),
        )
        for one in difference.comparisons
    )
    return dataclasses.replace(difference, comparisons=tuple(comparisons))


def _from_here() -> Change:
    here = f"{Path.cwd()}{os.sep}"
    return lambda text: text.replace(here, "")


def renamed(report: Report, change: Change, code: Change | None = None) -> Report:
    """``report`` with ``change`` in all that may name a file, and ``code`` where that is a line of code."""
    names = _Names(change, code or change)
    return dataclasses.replace(
        report,
        findings=tuple(map(names.finding, report.findings)),
        suppressed=tuple(
            dataclasses.replace(one, finding=names.finding(one.finding), location=names.location(one.location))
            for one in report.suppressed
        ),
        recipe=None if report.recipe is None else names.trial(report.recipe),
        plan=None if report.plan is None else names.trial(report.plan),
        stock=tuple(map(names.trial, report.stock)),
        unchecked=tuple(dataclasses.replace(item, why=change(item.why)) for item in report.unchecked),
    )


@dataclasses.dataclass(frozen=True, slots=True)
class _Names:
    change: Change
    code: Change

    def finding(self, finding: Finding) -> Finding:
        line = finding.plan_line
        return dataclasses.replace(
            finding,
            message=self.change(finding.message),
            location=None if finding.location is None else self.location(finding.location),
            plan_line=None if line is None else dataclasses.replace(line, file=self.change(line.file)),
            proof=tuple(map(self.change, finding.proof)),
        )

    def location(self, location: Location) -> Location:
        return dataclasses.replace(location, file=self.code(location.file))

    def trial(self, trial: Trial) -> Trial:
        crash = trial.crash
        if crash is None:
            return trial
        named = dataclasses.replace(
            crash, message=self.change(crash.message), file=crash.file and self.code(crash.file)
        )
        return dataclasses.replace(trial, crash=named)
