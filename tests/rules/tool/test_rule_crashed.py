"""ARC999: a rule that raises leaves its question open."""

from __future__ import annotations

from collections.abc import Iterable

from archlint import Rule
from archlint.core.blueprint import Blueprint, ModelInfo
from archlint.core.finding import Finding, Severity
from archlint.judging import run_rules


class Broken(Rule):
    """It raises halfway."""

    code, name, severity, why = "OWN001", "broken", Severity.INFO, "It is."

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        yield self.finding("said before it broke")
        raise KeyError("weight\nshape")


class Sound(Rule):
    """It does what it should."""

    code, name, severity, why = "OWN002", "sound", Severity.INFO, "It is."

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        yield self.finding("fine")


def test_the_crash_is_a_finding_and_the_other_rules_stand() -> None:
    blueprint = Blueprint(ModelInfo("name", "object", "Model", "", 1, 1), ())
    findings, unchecked = run_rules(blueprint, [Broken, Sound])
    crash = next(finding for finding in findings if finding.code == "ARC999")
    assert (crash.severity, crash.unchecked) == (Severity.WARNING, True)
    assert "OWN001 broken crashed: KeyError" in crash.message
    assert "\n" not in crash.message
    assert "--ignore OWN001" in crash.remedies[0].text
    assert "OWN002" in {finding.code for finding in findings}
    assert [what.what for what in unchecked] == ["OWN001 broken"]
