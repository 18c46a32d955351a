"""Files below the working directory by the way to them from there, as people name them."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archlint.core.comparison import Difference
    from archlint.core.finding import Finding, Location
    from archlint.core.report import Report, Run
    from archlint.core.trial import Trial


def named_from_here(run: Run) -> Run:
    """``run`` for readers: programs that show lines need files in full."""
    return dataclasses.replace(run, reports=tuple(map(_report, run.reports)))


def compared_from_here(difference: Difference) -> Difference:
    """Likewise."""
    comparisons = (
        dataclasses.replace(
            one,
            before=None if one.before is None else _report(one.before),
            after=None if one.after is None else _report(one.after),
        )
        for one in difference.comparisons
    )
    return dataclasses.replace(difference, comparisons=tuple(comparisons))


def _report(report: Report) -> Report:
    return dataclasses.replace(
        report,
        findings=tuple(map(_finding, report.findings)),
        suppressed=tuple(
            dataclasses.replace(one, finding=_finding(one.finding), location=_location(one.location))
            for one in report.suppressed
        ),
        recipe=None if report.recipe is None else _trial(report.recipe),
        plan=None if report.plan is None else _trial(report.plan),
        stock=tuple(map(_trial, report.stock)),
        unchecked=tuple(dataclasses.replace(item, why=_text(item.why)) for item in report.unchecked),
    )


def _trial(trial: Trial) -> Trial:
    crash = trial.crash
    if crash is None:
        return trial
    named = dataclasses.replace(crash, message=_text(crash.message), file=crash.file and _text(crash.file))
    return dataclasses.replace(trial, crash=named)


def _finding(finding: Finding) -> Finding:
    return dataclasses.replace(
        finding,
        message=_text(finding.message),
        location=None if finding.location is None else _location(finding.location),
        proof=tuple(map(_text, finding.proof)),
    )


def _location(location: Location) -> Location:
    return dataclasses.replace(location, file=_text(location.file))


def _text(text: str) -> str:
    return text.replace(f"{Path.cwd()}{os.sep}", "")
