"""PEFT's arguments from the words of a command line."""

from __future__ import annotations

import re
from collections.abc import Sequence

from archlint.plans.document import PlanError

_EXPRESSION = re.compile(r"[\\*+?^$|()\[\]{}]")
"""What stands in regular expressions and never in the name of a module."""
_ALL_LINEAR = "all-linear"


def targets(values: Sequence[str]) -> str | list[str]:
    """The values of ``--target-modules`` or ``--exclude-modules`` as PEFT takes them.

    A value with characters of a regular expression (``* + ? ^ $ | ( ) [ ] { } \\``) is one, and so is
    ``all-linear`` a word of its own; anything else is a list of names, separated by commas. A dot alone makes
    no expression: ``self_attn.q_proj`` is a name.

    Raises:
        PlanError: no name is left, or an expression stands beside something else.
    """
    for value in values:
        if _EXPRESSION.search(value) or value.lower() == _ALL_LINEAR:
            if len(values) > 1:
                raise PlanError(f"{value!r} stands alone: it cannot be given together with others")
            return value
    found = names(values)
    if any(name.lower() == _ALL_LINEAR for name in found):
        raise PlanError(f"{_ALL_LINEAR} stands alone: it cannot be one of several names")
    return found


def names(values: Sequence[str]) -> list[str]:
    """A list of names from values that each hold one or several, separated by commas.

    Raises:
        PlanError: no name is left.
    """
    found = [name for value in values for part in value.split(",") if (name := part.strip())]
    if not found:
        raise PlanError(f"no name in {', '.join(map(repr, values))}")
    return list(dict.fromkeys(found))
