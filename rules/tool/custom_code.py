"""ARC901: the repository brings code of its own for the architecture."""

from __future__ import annotations

from collections.abc import Iterable

from archlint.core.blueprint import Blueprint
from archlint.core.finding import Finding, Remedy, Severity
from archlint.core.report import Unchecked
from archlint.core.rule import Rule


class CustomCode(Rule):
    """The architecture is defined by Python code in the model's repository.

    ## What it does
    Looks at `auto_map` in config.json. Where the installed transformers has the model type itself, its own class
    is checked and the repository's code is not run. Where it has not, the code is run only with
    `--trust-remote-code`, in a process that is kept from all else. Without that it is read: the model that its text
    describes is judged, with what PEFT makes of it, and nothing of it is run.

    ## Why it matters
    Code of a repository can do anything on the machine that loads it. And the class that is trained may differ
    from the one that was checked: loading with `trust_remote_code=True` takes the repository's class, whose
    modules may have other names.

    ## What to do
    Read the code before you allow it, pin its revision with `--revision`, and load the model for training in
    the way it was checked.

    ## Example
    A folder `my-model` with an `own.py`, and a config.json of

        {"model_type": "own", "auto_map": {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"}}

    Then

        archlint my-model --format concise

    says

        my-model: warning ARC901 custom-code: not run: custom code (own.Config, own.Model); …

    beside what was read, and with `--trust-remote-code` the code is run and its model checked.
    """

    code = "ARC901"
    name = "custom-code"
    severity = Severity.WARNING
    why = "The class that is trained depends on whether the repository's own code may run."

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        facts = blueprint.facts
        if facts.reading is not None:
            yield self._unchecked(self.not_run(facts.custom_code))
        elif facts.ran_custom_code:
            yield self.finding(
                f"{blueprint.model.class_name} is the repository's own code, which was run to build it",
                severity=Severity.INFO,
            )
        elif facts.custom_code:
            yield self.finding(
                f"the repository brings {', '.join(dict.fromkeys(facts.custom_code))}; transformers' own "
                f"{blueprint.model.class_name} was checked instead",
                severity=Severity.INFO,
                remedies=[Remedy("setting", "load the model for training without trust_remote_code")],
            )

    @staticmethod
    def not_run(references: Iterable[str]) -> str:
        """What is said of a model whose code, at ``references``, was read and not run."""
        named = ", ".join(dict.fromkeys(references))
        return f"not run: custom code ({named}); its text was read, and --trust-remote-code runs it"

    def not_read(self, error: Exception) -> tuple[Finding, Unchecked]:
        """What to report where only code would have built the model that was not run, and could not be read."""
        reason = " ".join(str(error).split())
        return self._unchecked(reason), Unchecked("model", reason)

    def _unchecked(self, reason: str) -> Finding:
        remedy = Remedy("setting", "read the code, then allow it: --trust-remote-code")
        return self.finding(reason, remedies=[remedy], unchecked=True)
