"""``--format gitlab``: a Code Quality report, which GitLab shows in a merge request.

https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format has the fields; others are ignored there.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archlint.core.finding import Finding, Severity
from archlint.core.report import Report, Run
from archlint.report.fixes import told_alone
from archlint.report.places import Checkout, Place, listed
from archlint.report.quoting import one_line, visible

_SEVERITIES = {Severity.ERROR: "major", Severity.WARNING: "minor", Severity.INFO: "info"}
_ANYWHERE = Place("config.json", 1)
"""What has no place in the repository is about the configuration of a model: GitLab drops entries without a path."""
_BETWEEN = " · "


def render(run: Run, *, checkout: Checkout) -> str:
    """The run as one indented JSON list, in ASCII: an entry a finding, and one for what else was not checked."""
    log = _Log(checkout)
    return json.dumps([entry for report in run.reports for entry in log.entries(report)], indent=2) + "\n"


@dataclass(frozen=True)
class _Log:
    """What the entries have in common."""

    checkout: Checkout
    seen: Counter[tuple[str, ...]] = field(default_factory=Counter)

    def entries(self, report: Report) -> Iterator[dict[str, Any]]:
        for finding in report.findings:
            parts = [f"{visible(finding.code)} {visible(finding.name)}: {one_line(finding.message)}"]
            parts += [*listed(finding), *map(str.strip, told_alone(finding, report))]
            yield {
                "description": f"{one_line(report.source)}: {_BETWEEN.join(parts)}",
                "check_name": visible(finding.code),
                "fingerprint": self._fingerprint(report.source, finding.fingerprint),
                "severity": _severity(report, finding),
                "location": self._location(report, finding),
            }
        for unchecked in report.untold:
            what = f"{one_line(unchecked.what)} not checked: {one_line(unchecked.why)}"
            yield {
                "description": f"{one_line(report.source)}: {what}",
                "check_name": "not-checked",
                "fingerprint": self._fingerprint(report.source, "not checked", unchecked.what),
                "severity": _severity(report, None),
                "location": self._location(report, None),
            }

    def _location(self, report: Report, finding: Finding | None) -> dict[str, Any]:
        places = self.checkout.places(report.source, finding)
        where = next((place for place in places if not Path(place.file).is_absolute()), _ANYWHERE)
        return {"path": visible(where.file), "lines": {"begin": where.line}}

    def _fingerprint(self, *about: str) -> str:
        """The same from run to run, and another for each entry of one: GitLab shows one entry a fingerprint."""
        self.seen[about] += 1
        return hashlib.sha256(repr((*about, self.seen[about])).encode()).hexdigest()[:32]


def _severity(report: Report, finding: Finding | None) -> str:
    """That of a finding; what was not checked is a warning, or an error where nothing was."""
    if finding is not None and not finding.unchecked:
        return _SEVERITIES[finding.severity]
    return _SEVERITIES[Severity.ERROR if report.model is None else Severity.WARNING]
