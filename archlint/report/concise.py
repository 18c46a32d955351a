"""``--format concise``: one line a finding, to grep and to read in a log."""

from __future__ import annotations

from collections.abc import Iterator

from archlint.core.finding import Finding
from archlint.core.report import Report, Run
from archlint.report import wording
from archlint.report.quoting import one_line, visible


def render(run: Run) -> str:
    """``source: severity CODE name pattern (count): message (file:line)``, and a line for what else was not checked."""
    return "".join(f"{line}\n" for report in run.reports for line in _lines(report))


def _lines(report: Report) -> Iterator[str]:
    source = one_line(report.source)
    for finding in report.findings:
        yield f"{source}: {told(finding)}"
    for unchecked in report.untold:
        yield f"{source}: unchecked {one_line(unchecked.what)}: {one_line(unchecked.why)}"


def told(finding: Finding) -> str:
    """What is said of one finding."""
    where = f" {_where(finding)}" if finding.sites else ""
    head = f"{finding.severity.value} {visible(finding.code)} {visible(finding.name)}"
    return f"{head}{where}: {one_line(finding.message)}{wording.own_line(finding)}"


def _where(finding: Finding) -> str:
    first, *others = finding.sites
    more = f" +{len(others)} more" if others else ""
    return f"{visible(first.pattern)}{more} ({finding.count})"
