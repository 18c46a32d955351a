"""``--format github``: workflow commands, which GitHub Actions shows as annotations of a file or of the run.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands has the syntax; what is escaped,
and how, is in actions/toolkit, packages/core/src/command.ts.
"""

from __future__ import annotations

from collections.abc import Iterator

from archlint.core.finding import Severity
from archlint.core.report import Report, Run
from archlint.report.fixes import told_alone
from archlint.report.places import Checkout, Place, listed
from archlint.report.quoting import one_line, visible

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}
_ORDER = list(_COMMANDS.values())
_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY = _DATA | str.maketrans({":": "%3A", ",": "%2C"})


def render(run: Run, *, checkout: Checkout) -> str:
    """A command a finding, and one for what else was not checked; files are named as the repository has them.

    The gravest of all sources come first: GitHub keeps the first ten of a step of each kind.
    """
    told = [command for report in run.reports for command in _commands(report, checkout)]
    told.sort(key=lambda command: _ORDER.index(command[0]))
    return "".join(f"{_command(*command)}\n" for command in told)


def _commands(report: Report, checkout: Checkout) -> Iterator[tuple[str, dict[str, str], str]]:
    """Name, properties and message of each."""
    source = one_line(report.source)
    for finding in report.findings:
        properties = _where(checkout.place(report.source, finding))
        properties["title"] = f"{visible(finding.code)} {visible(finding.name)}"
        body = "\n".join([f"{source}: {one_line(finding.message)}", *listed(finding), *told_alone(finding, report)])
        yield "warning" if finding.unchecked else _COMMANDS[finding.severity], properties, body
    for unchecked in report.untold:
        body = f"{source}: {one_line(unchecked.what)}: {one_line(unchecked.why)}"
        yield "warning", {**_where(checkout.place(report.source, None)), "title": "not checked"}, body


def _where(place: Place | None) -> dict[str, str]:
    return {} if place is None else {"file": visible(place.file), "line": str(place.line)}


def _command(name: str, properties: dict[str, str], data: str) -> str:
    listed = ",".join(f"{key}={value.translate(_PROPERTY)}" for key, value in properties.items())
    return f"::{name} {listed}::{data.translate(_DATA)}"
