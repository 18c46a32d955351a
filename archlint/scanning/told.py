"""What reports come to, without the reports: told of one, and summed up over all."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from archlint.core.finding import Severity
from archlint.report.wording import plural

CLEAN, FINDINGS, UNCHECKED = "clean", "findings", "unchecked"


@dataclass(frozen=True, slots=True)
class Told:
    """What one report comes to."""

    status: str
    """``clean``, ``findings`` or ``unchecked``."""
    family: str
    """Its ``model_type``; empty where there was no model."""
    counts: Mapping[str, int]
    """Number of findings by severity."""
    rules: Mapping[str, str]
    """The severity of the worst finding of each rule."""
    worst: str | None
    """The worst severity of what was found out, and not merely left open."""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Told:
        """What a document with one report comes to."""
        (report,) = document["reports"]
        rules: dict[str, str] = {}
        for finding in report["findings"]:
            severity = finding["severity"]
            rules[finding["code"]] = min(rules.get(finding["code"], severity), severity, key=_rank)
        judged = [finding["severity"] for finding in report["findings"] if not finding["unchecked"]]
        return cls(
            status=report["status"],
            family=(report["model"] or {}).get("model_type", ""),
            counts=dict(Counter(finding["severity"] for finding in report["findings"])),
            rules=rules,
            worst=min(judged, key=_rank, default=None),
        )

    @classmethod
    def loaded(cls, text: str) -> Told:
        """What :meth:`dumped` wrote."""
        return cls(**json.loads(text))

    def dumped(self) -> str:
        """This as JSON."""
        return json.dumps(asdict(self), separators=(",", ":"))


def _rank(severity: str) -> int:
    return Severity(severity).rank


@dataclass
class Tally:
    """What many reports come to."""

    models: int = 0
    severities: Counter[str] = field(default_factory=Counter)
    """Findings."""
    statuses: Counter[str] = field(default_factory=Counter)
    """Models."""
    worst: Counter[str] = field(default_factory=Counter)
    """Models, by the worst that was found out."""
    rules: dict[str, Counter[str]] = field(default_factory=dict)
    """Of each rule, models by the severity of its worst finding there."""
    families: dict[str, Counter[str]] = field(default_factory=dict)
    """Of each model type, models by status."""

    def add(self, told: Told) -> None:
        self.models += 1
        self.severities.update(told.counts)
        self.statuses[told.status] += 1
        if told.worst is not None:
            self.worst[told.worst] += 1
        for code, severity in told.rules.items():
            self.rules.setdefault(code, Counter())[severity] += 1
        self.families.setdefault(told.family, Counter())[told.status] += 1

    def exit_code(self, fail_on: Severity | None) -> int:
        """1 where a model has a finding at or above ``fail_on``, else 3 where one was not checked, else 0."""
        if fail_on is not None and any(_rank(severity) <= fail_on.rank for severity in self.worst):
            return 1
        return 3 if self.statuses[UNCHECKED] else 0

    def __str__(self) -> str:
        return ", ".join(self._parts())

    def _parts(self) -> Iterator[str]:
        """``804 models: 560 clean``, ``240 not checked``, ``12 errors``."""
        statuses = {CLEAN: "clean", FINDINGS: "with findings", UNCHECKED: "not checked"}
        parts = [f"{self.statuses[status]} {words}" for status, words in statuses.items() if self.statuses[status]]
        parts += [
            plural(self.severities[severity.value], severity.value)
            for severity in Severity
            if self.severities[severity.value]
        ]
        first, *others = parts or ["nothing"]
        yield f"{plural(self.models, 'model')}: {first}"
        yield from others
