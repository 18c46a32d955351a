"""``--format sarif``: SARIF 2.1.0, for what collects the results of static analysis.

Section numbers are those of the standard: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from archlint import __version__
from archlint.core.finding import Finding, FoldedSites, Remedy, Severity
from archlint.core.report import Report, Run
from archlint.core.rule import Rule
from archlint.core.safety import Safety
from archlint.core.suppression import Suppressed
from archlint.report.fixes import told_alone
from archlint.report.places import Checkout
from archlint.report.quoting import one_line, visible
from archlint.report.rule_pages import RulePage, markdown, page

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_BASE = "%SRCROOT%"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_HELP_WIDTH = 100


@dataclass(frozen=True)
class PlanText:
    """The file that the user's plan comes from, and what it would be with a remedy in it."""

    file: str
    text: str
    mended: Callable[[Report, Remedy], str | None]
    """The text with a remedy of the report's; ``None`` where the remedy cannot be written there."""


def render(
    run: Run, *, rules: Sequence[type[Rule]], checkout: Checkout, plans: Mapping[str, PlanText] | None = None
) -> str:
    """The run as one indented SARIF log, in ASCII.

    Args:
        run: what was found.
        rules: what the tool looks for; their documentation is in the log.
        checkout: the repository that paths are relative to, ``%SRCROOT%`` in the log.
        plans: for each source, the file that the user's plan comes from, for fixes.
    """
    runs = [_run(run, rules, checkout, plans or {})]
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": runs}, indent=2) + "\n"


def _run(run: Run, rules: Sequence[type[Rule]], checkout: Checkout, plans: Mapping[str, PlanText]) -> dict[str, Any]:
    log = _Log({rule.code: index for index, rule in enumerate(rules)}, checkout, plans)
    driver = {"name": "archlint", "version": __version__, "rules": [_descriptor(rule) for rule in rules]}
    return {
        "tool": {"driver": driver},
        "invocations": [
            {
                "executionSuccessful": run.unchecked == 0,
                "toolExecutionNotifications": [note for report in run.reports for note in _notifications(report)],
            }
        ],
        "originalUriBaseIds": {
            _BASE: {"description": {"text": "The root of the repository that archlint was called in."}}
        },
        "columnKind": "unicodeCodePoints",
        "results": list(_results(log, run)),
    }


def _results(log: _Log, run: Run) -> Iterator[dict[str, Any]]:
    """What was found, and what is suppressed; either all of them say whether they are, or none does (3.27.23)."""
    are_any = any(report.suppressed for report in run.reports)
    for report in run.reports:
        for finding in report.findings:
            yield {**log.result(finding, report), **({"suppressions": []} if are_any else {})}
        for one in report.suppressed:
            yield {**log.result(one.finding, report), "suppressions": [log.suppression(one)]}


def _descriptor(rule: type[Rule]) -> dict[str, Any]:
    told = RulePage.of(rule)
    return {
        "id": rule.code,
        "name": rule.name,
        "shortDescription": {"text": told.summary},
        "fullDescription": {"text": f"{told.summary} {rule.why}"},
        "help": {"text": page(told, width=_HELP_WIDTH), "markdown": markdown(told)},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
    }


def _notifications(report: Report) -> Iterator[dict[str, Any]]:
    for unchecked in report.unchecked:
        text = f"{one_line(report.source)}: {one_line(unchecked.what)} not checked: {one_line(unchecked.why)}"
        yield {"level": "error" if report.model is None else "warning", "message": _message(text)}


@dataclass(frozen=True)
class _Log:
    """What the results of a log have in common."""

    indices: Mapping[str, int]
    checkout: Checkout
    plans: Mapping[str, PlanText]

    def result(self, finding: Finding, report: Report) -> dict[str, Any]:
        index = {"ruleIndex": self.indices[finding.code]} if finding.code in self.indices else {}
        text = "\n".join([f"{one_line(report.source)}: {one_line(finding.message)}", *told_alone(finding, report)])
        fixes = [fix for remedy in finding.remedies for fix in self._fixes(remedy, report)]
        return {
            "ruleId": finding.code,
            **index,
            "level": _LEVELS[finding.severity],
            "message": _message(text),
            "locations": [self._location(finding, report)],
            "partialFingerprints": {"archlint/v1": finding.fingerprint},
            **({"fixes": fixes} if fixes else {}),
            "properties": {
                "source": visible(report.source),
                "severity": finding.severity.value,
                "evidence": finding.evidence.value,
                "sites": [_site(fold) for fold in finding.sites],
            },
        }

    def suppression(self, one: Suppressed) -> dict[str, Any]:
        """The comment that suppresses a finding (3.35)."""
        where = {
            "artifactLocation": _artifact(self.checkout.name(one.location.file)),
            "region": {"startLine": one.location.line},
        }
        reason = {"justification": one_line(one.reason)} if one.reason else {}
        return {"kind": "inSource", **reason, "location": {"physicalLocation": where}}

    def _location(self, finding: Finding, report: Report) -> dict[str, Any]:
        """The place in a file, and the modules of the model, or else the model.

        GitHub refuses logs with results that are about no file: what is about none of the repository is about the
        source itself.
        """
        where = self.checkout.place(report.source, finding)
        artifact = self._source(report.source) if where is None else _artifact(where.file)
        region = {"startLine": 1 if where is None else where.line}
        patterns = dict.fromkeys(visible(fold.pattern) for fold in finding.sites)
        logical = [{"fullyQualifiedName": pattern, "kind": "module"} for pattern in patterns]
        if not logical and report.model is not None:
            logical = [{"name": visible(report.model.class_name), "kind": "type"}]
        elif not logical:
            logical = [{"name": visible(report.source)}]
        return {"physicalLocation": {"artifactLocation": artifact, "region": region}, "logicalLocations": logical}

    def _source(self, source: str) -> dict[str, Any]:
        config = self.checkout.configs.get(source)
        if config is not None:
            return _artifact(self.checkout.name(config.file))
        return {"uri": quote(visible(source)), "description": _message("The model, which is no file here.")}

    def _fixes(self, remedy: Remedy, report: Report) -> Iterator[dict[str, Any]]:
        plan = self.plans.get(report.source)
        if plan is None or not remedy.edits or not remedy.proven or remedy.safety is not Safety.EXACT:
            return
        text = plan.mended(report, remedy)
        if text is None or text == plan.text:
            return
        change = {
            "artifactLocation": _artifact(self.checkout.name(plan.file)),
            "replacements": list(replacements(plan.text, text)),
        }
        yield {"description": _message(one_line(remedy.text)), "artifactChanges": [change]}


def _artifact(name: str) -> dict[str, str]:
    """A file as :meth:`Checkout.name` has it; characters that no file's name can have are spelled out."""
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        name = visible(name)
    if Path(name).is_absolute():
        return {"uri": Path(name).as_uri()}
    return {"uri": quote(os.fsencode(name)), "uriBaseId": _BASE}


def _site(fold: FoldedSites) -> dict[str, Any]:
    return {"pattern": visible(fold.pattern), "count": fold.count, "class": visible(fold.type)}


def _message(text: str) -> dict[str, str]:
    """A message of plain text: braces would be placeholders (3.11.5), and brackets before one a link (3.11.6)."""
    return {"text": text.replace("{", "{{").replace("}", "}}").replace("](", "] (")}


def replacements(before: str, after: str) -> Iterator[dict[str, Any]]:
    """What makes ``before`` into ``after``, by whole lines: a region of ``before``, and what is to stand there.

    A line that takes the place of another leaves its line break alone; one that is new or goes takes it along.
    """
    old, new = _LINE.findall(before), _LINE.findall(after)
    for what, first, end, start, stop in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if what == "equal":
            continue
        gone, put = "".join(old[first:end]), "".join(new[start:stop])
        if (line_break := _line_break(gone)) == _line_break(put):
            gone, put = gone.removesuffix(line_break), put.removesuffix(line_break)
        at = len("".join(old[:first]))
        yield {"deletedRegion": _region(before, at, at + len(gone)), "insertedContent": {"text": put}}


def _line_break(text: str) -> str:
    """What ends the last line of ``text``, if anything does."""
    return next((line_break for line_break in ("\r\n", "\n") if text.endswith(line_break)), "")


def _region(text: str, start: int, end: int) -> dict[str, int]:
    """The stretch of ``text`` between two offsets, in lines and columns from 1; the last column is behind it."""
    first, last = (text.count("\n", 0, offset) + 1 for offset in (start, end))
    columns = (offset - text.rfind("\n", 0, offset) for offset in (start, end))
    return {"startLine": first, "startColumn": next(columns), "endLine": last, "endColumn": next(columns)}
