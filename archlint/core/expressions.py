"""Regular expressions that somebody else wrote, matched within bounds."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from archlint.deadline import deadline

NO_EXPRESSION = (re.error, OverflowError, RecursionError)
"""What Python raises for a text that it does not take for a regular expression: one with repetitions beyond any number,
or with groups too deep in each other, is none either."""
MAX_SECONDS = 5.0
"""Ten times what any takes that is meant, on the largest model."""


class _TooSlowError(BaseException):
    pass


def matched(expression: str, names: Iterable[str]) -> list[str]:
    """Those of ``names`` that ``expression`` matches in full.

    None where it is no regular expression, or one that takes longer than any that is meant.
    """
    return list(_matched(expression, tuple(names)))


@lru_cache(maxsize=64)
def _matched(expression: str, names: tuple[str, ...]) -> tuple[str, ...]:
    try:
        with deadline(MAX_SECONDS, _TooSlowError):
            return tuple(filter(re.compile(expression).fullmatch, names))
    except (*NO_EXPRESSION, _TooSlowError):
        return ()
