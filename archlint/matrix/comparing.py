"""What archlint says of each source with each stack, side by side."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from archlint.core.finding import Finding, Severity
from archlint.core.report import Report, Run
from archlint.matrix.spec import Stack


@dataclass(frozen=True)
class Outcome:
    """What came of one stack."""

    stack: Stack
    versions: Mapping[str, str]
    """Of what is installed with it; empty where it could not be installed."""
    runs: tuple[Run, ...] = ()
    """What ``archlint check`` reported."""
    reason: str | None = None
    """Why nothing, or not everything, was reported."""

    @property
    def reports(self) -> Iterator[Report]:
        """Those of all runs."""
        return (report for run in self.runs for report in run.reports)

    def version(self, package: str) -> str | None:
        """The version of ``package`` that is there, or was asked for."""
        return self.versions.get(package) or self.stack.pinned(package)


@dataclass(frozen=True)
class Cell:
    """One source with one stack."""

    report: Report | None
    reason: str | None
    """Why something could not be checked."""
    fails: bool
    """There is a finding that tells that it breaks."""

    @property
    def checked(self) -> bool:
        """Whether all was checked: what was not found is not there."""
        return self.reason is None

    @property
    def works(self) -> bool:
        """Whether all was checked, and nothing was found to fail on."""
        return self.checked and not self.fails

    @property
    def findings(self) -> Sequence[Finding]:
        """What was found, less what says that something could not be checked."""
        return [] if self.report is None else [finding for finding in self.report.findings if not finding.unchecked]

    def count(self, severity: Severity) -> int:
        """Number of findings."""
        return sum(finding.severity is severity for finding in self.findings)


@dataclass(frozen=True)
class Trace:
    """A finding through all stacks. It is the same where its sites are; without sites, where its code is."""

    code: str
    name: str
    fingerprint: str | None
    """That of its sites."""
    message: str
    """In the first stack that has it."""
    severities: tuple[Severity | None, ...]
    """The worst with each stack; ``None`` where it was not found."""

    @property
    def worst(self) -> Severity:
        """The worst of all stacks."""
        return min((found for found in self.severities if found is not None), key=lambda found: found.rank)


@dataclass(frozen=True)
class Row:
    """One source with all stacks."""

    source: str
    cells: tuple[Cell, ...]

    @cached_property
    def traces(self) -> tuple[Trace, ...]:
        """Its findings, the worst first."""
        keys = {_key(finding): None for cell in self.cells for finding in cell.findings}
        traces = (self._trace(code, fingerprint) for code, fingerprint in keys)
        return tuple(sorted(traces, key=lambda trace: (trace.worst.rank, trace.code)))

    def _trace(self, code: str, fingerprint: str | None) -> Trace:
        found = [[one for one in cell.findings if _key(one) == (code, fingerprint)] for cell in self.cells]
        first = next(one for those in found for one in those)
        return Trace(code, first.name, fingerprint, first.message, tuple(map(_worst, found)))

    def differs(self, trace: Trace) -> bool:
        """Whether ``trace`` is not the same with all stacks that were checked."""
        seen = {one for one, cell in zip(trace.severities, self.cells, strict=True) if one is not None or cell.checked}
        return len(seen) > 1


@dataclass(frozen=True)
class Matrix:
    """Sources and stacks."""

    outcomes: tuple[Outcome, ...]
    rows: tuple[Row, ...]
    fail_on: Severity | None
    """The mildest severity that the command fails on; ``None`` where it never does."""

    @property
    def breaking(self) -> Severity:
        """The mildest severity of which it is said that a source breaks."""
        return _breaking(self.fail_on)

    @property
    def exit_code(self) -> int:
        """1 where there is a finding to fail on with any stack, else 3 where something was not checked, else 0."""
        cells = [cell for row in self.rows for cell in row.cells]
        if self.fail_on is not None and any(cell.fails for cell in cells):
            return 1
        unchecked = any(not cell.checked for cell in cells) or any(outcome.reason for outcome in self.outcomes)
        return 3 if unchecked else 0


def compare(outcomes: Sequence[Outcome], fail_on: Severity | None, sources: Sequence[str] = ()) -> Matrix:
    """What came of each stack, side by side.

    Args:
        outcomes: in the order of the stacks.
        fail_on: the mildest severity to fail on.
        sources: what was to be checked; what else was reported is added.
    """
    names = dict.fromkeys([*sources, *(report.source for outcome in outcomes for report in outcome.reports)])
    breaking = _breaking(fail_on)
    rows = (Row(source, tuple(_cell(outcome, source, breaking) for outcome in outcomes)) for source in names)
    return Matrix(tuple(outcomes), tuple(rows), fail_on)


def _breaking(fail_on: Severity | None) -> Severity:
    return Severity.ERROR if fail_on is None else fail_on


def _cell(outcome: Outcome, source: str, breaking: Severity) -> Cell:
    report = next((report for report in outcome.reports if report.source == source), None)
    if report is None:
        return Cell(None, outcome.reason or "it was not reported", fails=False)
    reasons = "; ".join(f"{unchecked.what}: {unchecked.why}" for unchecked in report.unchecked)
    cell = Cell(report, reasons or None, fails=False)
    bad = any(finding.severity.rank <= breaking.rank for finding in cell.findings)
    return dataclasses.replace(cell, fails=bad)


def _key(finding: Finding) -> tuple[str, str | None]:
    return finding.code, finding.fingerprint if finding.sites else None


def _worst(findings: Sequence[Finding]) -> Severity | None:
    return min((finding.severity for finding in findings), key=lambda one: one.rank, default=None)
