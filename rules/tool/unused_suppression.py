"""ARC904: a comment that is to suppress findings suppresses none."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from archlint.core.blueprint import Blueprint
from archlint.core.finding import Finding, Location, Severity
from archlint.core.rule import Rule


class UnusedSuppression(Rule):
    """A comment `# archlint: ignore[…]` in the model's own code has no effect.

    ## What it does
    Looks at such comments in the files that define classes of the model. Reports one that names a rule which finds
    nothing in its class, one that names no rule or an unknown one, and one that stands at no class.

    A rule that did not run says nothing about its comments. Neither does a run in which something could not be
    checked, or that was asked about another scope or class than the model's own. What the stock plans and the usual
    trainers come to counts as well as your plan.

    ## Why it matters
    A comment that is left over hides the finding when it comes back. One that is misspelt or stands at the wrong
    line hides nothing, though it looks as if it did.

    ## What to do
    Take out what is left over. Otherwise write the codes and the reason on the line of the class statement, or
    directly above it:

        # archlint: ignore[ARC303] the router stays frozen
        class Router(nn.Linear):

    ## Example
    A folder `my-model` with code of its own, in which

        class Router(nn.Linear):  # archlint: ignore[ARC101, ARC303] it stays frozen

    stands at a class that ARC303 is about, and ARC101 is not. Then

        archlint my-model --trust-remote-code --format concise

    says

        my-model: info ARC904 unused-suppression: ignore[ARC101] at Router suppresses nothing: it is not found there
    """

    code = "ARC904"
    name = "unused-suppression"
    severity = Severity.INFO
    why = "A comment that suppresses nothing hides the finding when it comes back, or never did what it says."

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        return ()

    def useless(self, location: Location, message: str) -> Finding:
        """What to report of the comment at ``location``."""
        return dataclasses.replace(self.finding(message), location=location)
