"""ARC902: the source could not be resolved, or its model could not be built."""

from __future__ import annotations

from collections.abc import Iterable

from archlint.core.blueprint import Blueprint
from archlint.core.finding import Finding, Severity
from archlint.core.report import Unchecked
from archlint.core.rule import Rule


class CannotLoad(Rule):
    """A source could not be turned into a model, so nothing about it was checked.

    ## What it does
    Reports a source that cannot be resolved (no such repository, a gated one, no network, a file that is no
    config) and a config from which transformers builds no model (an unknown model type, impossible sizes).

    ## Why it matters
    A model that was not built was not checked, and that is never the same as clean: the exit code is 3.

    ## What to do
    Follow the message: it says what was looked for and what would help, such as logging in, another spelling
    of the name, a newer transformers, or `--class`.

    ## Example
    A model type that no transformers has:

        archlint type:lama --format concise

    says

        type:lama: warning ARC902 cannot-load: transformers … has no model type 'lama'; did you mean …

    and `archlint type:llama` is checked.
    """

    code = "ARC902"
    name = "cannot-load"
    severity = Severity.WARNING
    why = "Nothing was checked, which is not the same as nothing found."

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        return ()

    def failed(self, error: Exception) -> tuple[Finding, Unchecked]:
        """What to report of the ``error`` that loading ended with."""
        reason = " ".join(str(error).split()) or type(error).__name__
        return self.finding(reason, unchecked=True), Unchecked("model", reason)
