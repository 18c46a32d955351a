"""ARC905: the repository's own code reached for what loading a model has no use for."""

from __future__ import annotations

from collections.abc import Iterable

from archlint.core.blueprint import Blueprint
from archlint.core.custom_code import Conduct
from archlint.core.finding import Finding, Remedy, Severity
from archlint.core.rule import Rule


class IntrusiveCode(Rule):
    """The repository's own code tried to do what loading a model has no use for.

    ## What it does
    Code that `--trust-remote-code` lets run is run in a process of its own, which is kept from your files, the
    network and other processes, as far as the system has the means; the report says which were in force. Each
    attempt to get at these is reported, and so is code that has to be stopped for its time, its memory or its
    output, or that replaces parts of archlint.

    ## Why it matters
    A model's code has to define layers. One that reads keys, opens connections or starts programs may do harm where
    the model is loaded for training, without such bounds. Nor can its model be trusted to be the one that was
    checked, so the report is never clean: the exit code is 3.

    ## What to do
    Do not load the model. Read the code at the places that the attempt names, and tell whoever publishes it.

    ## Example
    A `modeling_own.py` that begins with

        import socket
        socket.create_connection(("203.0.113.9", 443))

    checked with

        archlint my-model --trust-remote-code --format concise

    says

        my-model: warning ARC905 intrusive-code: the repository's own code …

    and code that only defines layers says nothing.
    """

    code = "ARC905"
    name = "intrusive-code"
    severity = Severity.WARNING
    why = "What the code tries here it does where the model is trained."

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        yield from self.told(blueprint.conduct)

    def told(self, conduct: Conduct | None) -> Iterable[Finding]:
        """What is said of code that was run."""
        for remark in () if conduct is None else conduct.remarks:
            yield self.finding(
                f"the repository's own code {remark.text}",
                remedies=[Remedy("other", "do not load the model before its code is read")],
                unchecked=True,
            )
