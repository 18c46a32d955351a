"""What becomes of a user's plan that takes for ever."""

from __future__ import annotations

MAX_SECONDS = 30.0
"""Five times what the largest plan on the largest model takes."""


class PlanTooSlowError(BaseException):
    """A plan takes longer to match than any that is meant; no code of a model that catches errors may catch it."""

    def __init__(self) -> None:
        super().__init__(f"matching it with the model takes more than {MAX_SECONDS:.0f} s: is a pattern too involved?")
