"""ARC999: a rule raised an exception, so what it looks for was not checked."""

from __future__ import annotations

from collections.abc import Iterable

from archlint.core.blueprint import Blueprint
from archlint.core.finding import Finding, Remedy, Severity
from archlint.core.report import Unchecked
from archlint.core.rule import Rule


class RuleCrashed(Rule):
    """A rule raised an exception; the other rules' findings stand.

    ## What it does
    Stands in for a rule, built in or from a plugin, that failed on this model.

    ## Why it matters
    What the rule looks for was not checked here, and that is not the same as not found: the exit code is 3.

    ## What to do
    Report it to whoever maintains the rule, with the source and the message. Until then `--ignore` leaves the
    rule out.

    ## Example
    A file `broken.py` with a rule that raises,

        from archlint import Rule
        from archlint.core.finding import Severity

        class Broken(Rule):
            # no docstring

            code, name, severity, why = "OWN001", "broken", Severity.INFO, "It never says anything."

            def check(self, blueprint):
                return {}["q_proj"]

    Then

        archlint type:llama --no-prove --load broken.py --format concise

    says

        type:llama: warning ARC999 rule-crashed: OWN001 broken crashed: KeyError: 'q_proj'

    and with `--ignore OWN001` the others run without it.
    """

    code = "ARC999"
    name = "rule-crashed"
    severity = Severity.WARNING
    why = "What the rule looks for was not checked, which is not the same as not found."

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        return ()

    def crashed(self, rule: type[Rule], error: Exception) -> tuple[Finding, Unchecked]:
        """What to report of the ``error`` that ``rule`` raised."""
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        finding = self.finding(
            f"{rule.code} {rule.name} crashed: {reason}",
            remedies=[Remedy("setting", f"report it, and leave the rule out until then: --ignore {rule.code}")],
            unchecked=True,
        )
        return finding, Unchecked(f"{rule.code} {rule.name}", f"the rule crashed: {reason}")
