"""Findings that a team knows of: a file of them, and what a run says beside them."""

from __future__ import annotations

import dataclasses
import json
import os
import stat
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archlint.core.finding import Finding, Severity
from archlint.core.report import Report, Run

SCHEMA = "archlint/baseline/v1"


class BaselineError(Exception):
    """A file is no baseline; the message says why."""


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """A finding that is known. It stays the same when layers are counted otherwise."""

    source: str
    """As it was given, or for a path the way to it from the baseline's folder."""
    asked: str
    """What was asked of it beside: options that decide what there is to find."""
    code: str
    fingerprint: str
    severity: str
    """A finding that is worse by now is a new one."""
    message: str
    """For who reads the file."""

    @classmethod
    def of(cls, source: str, asked: str, finding: Finding) -> Entry:
        return cls(source, asked, finding.code, finding.fingerprint, finding.severity.value, finding.message)

    def covers(self, finding: Finding) -> bool:
        """Whether it is this one that is known, and no worse than it was."""
        same = (self.code, self.fingerprint) == (finding.code, finding.fingerprint)
        return same and finding.severity.rank >= Severity(self.severity).rank


@dataclass(frozen=True)
class Baseline:
    """The findings that are known, of all sources."""

    entries: frozenset[Entry] = frozenset()
    folder: Path = field(default=Path(), compare=False)
    """The one of its file, that sources which are paths are named from."""

    @classmethod
    def read(cls, path: Path) -> Baseline:
        """The one in a file that :attr:`text` was written to.

        Raises:
            BaselineError: it cannot be read, or holds something else.
        """
        try:
            if not stat.S_ISREG(path.stat().st_mode):  # a device has no end
                raise BaselineError(f"{path} is no file")
            document = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise BaselineError(f"{path}: {error.strerror or error}") from error
        except (ValueError, RecursionError) as error:
            raise BaselineError(f"{path} is no JSON: {error}") from error
        if not isinstance(document, dict) or document.get("schema") != SCHEMA:
            raise BaselineError(f"{path} is no {SCHEMA}: --write-baseline makes one")
        findings = document.get("findings")
        if not isinstance(findings, list):
            raise BaselineError(f"{path}: findings is no list")
        return cls(frozenset(_entry(path, number, given) for number, given in enumerate(findings)), path.parent)

    @property
    def text(self) -> str:
        """The file: sorted, one finding a block, so that a version control system shows what came and went."""
        findings = [dataclasses.asdict(entry) for entry in sorted(self.entries)]
        return json.dumps({"schema": SCHEMA, "findings": findings}, indent=2, ensure_ascii=False) + "\n"

    def updated(self, run: Run, codes: Collection[str], asked: str = "") -> Baseline:
        """With what ``run`` found in place of what it could have found.

        Args:
            codes: of the rules that ran. What other rules said stays, and so does what was said of a source that
                was not checked, or not wholly.
            asked: of the sources; what is known by other questions stays.
        """
        stale = {entry for report in run.reports for entry in self._gone(report, codes, asked)}
        found = {Entry.of(self._place(report), asked, finding) for report in run.reports for finding in _judged(report)}
        renewed = {_identity(entry) for entry in found}
        kept = (entry for entry in self.entries - stale if _identity(entry) not in renewed)
        return Baseline(frozenset([*found, *kept]), self.folder)

    def applied(self, run: Run, codes: Collection[str], asked: str = "") -> Run:
        """``run`` without the findings that are known; its reports' notes say how many these are, and which are gone.

        A finding is known whatever was asked when it was first seen, and gone where the same is asked.

        Args:
            codes: of the rules that ran.
            asked: of the sources.
        """
        return dataclasses.replace(run, reports=tuple(self._applied(report, codes, asked) for report in run.reports))

    def _applied(self, report: Report, codes: Collection[str], asked: str) -> Report:
        known = [finding for finding in _judged(report) if any(entry.covers(finding) for entry in self._of(report))]
        notes = []
        if known:
            notes.append(f"{len(known)} known: in the baseline, and not shown")
        findings = tuple(finding for finding in report.findings if finding not in known)
        suppressed = {(one.finding.code, one.finding.fingerprint) for one in report.suppressed}
        spread = {finding.code for finding in findings}  # a finding of more places is another one, and mends none
        gone = sorted(entry for entry in self._gone(report, codes, asked) if entry.code not in spread)
        mended = [entry for entry in gone if (entry.code, entry.fingerprint) not in suppressed]
        notes += [f"the baseline's {entry.code} is mended: {entry.message}" for entry in mended]
        return dataclasses.replace(report, findings=findings, known=len(known), notes=(*report.notes, *notes))

    def _place(self, report: Report) -> str:
        """What its source is called in the file."""
        source = report.source
        return Path(os.path.relpath(source, self.folder)).as_posix() if Path(source).exists() else source

    def _of(self, report: Report) -> Iterable[Entry]:
        place = self._place(report)
        return (entry for entry in self.entries if entry.source == place)

    def _gone(self, report: Report, codes: Collection[str], asked: str) -> set[Entry]:
        """What is known of a source, and not found any more though it was looked for."""
        if report.unchecked:
            return set()
        found = {(finding.code, finding.fingerprint) for finding in report.findings}
        return {
            entry
            for entry in self._of(report)
            if entry.code in codes and entry.asked == asked and (entry.code, entry.fingerprint) not in found
        }


def _identity(entry: Entry) -> tuple[str, str, str, str]:
    return entry.source, entry.asked, entry.code, entry.fingerprint


def _judged(report: Report) -> list[Finding]:
    """Its findings; that something could not be checked is never known and done with."""
    return [finding for finding in report.findings if not finding.unchecked]


def _entry(path: Path, number: int, given: Any) -> Entry:
    names = [field.name for field in dataclasses.fields(Entry)]
    if not isinstance(given, dict) or not all(isinstance(given.get(name), str) for name in names):
        raise BaselineError(f"{path}: findings[{number}] lacks one of {', '.join(names)}")
    if given["severity"] not in [severity.value for severity in Severity]:
        raise BaselineError(f"{path}: findings[{number}] has the severity {given['severity']!r}")
    return Entry(**{name: given[name] for name in names})
