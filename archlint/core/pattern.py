"""One regular expression for a set of paths: the last resort where a list of names would mean too much."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from archlint.core.folding import fold, pieces

_INDEX = "INDEX"
"""Stands for every index of a path."""


def pattern(wanted: Collection[str], others: Iterable[str]) -> str | None:
    """One regular expression that fully matches ``wanted`` and none of ``others``; ``None`` where it would be wrong.

    Indices are left open (``\\d+``) where that reaches nothing else.
    """
    others = list(others)
    alike = list(dict.fromkeys(re.sub(r"(?<![^.])\d+(?![^.])", _INDEX, path) for path in wanted))
    whole = "|".join(_expression(folded, loose=True).replace(_INDEX, r"\d+") for folded in fold(alike))
    if _separates(whole, wanted, others):
        return whole
    branches: list[str] = []
    for folded in fold(wanted):
        loose = _expression(folded, loose=True)
        strict = _expression(folded, loose=False)
        branches.append(strict if any(re.fullmatch(loose, other) for other in others) else loose)
    expression = "|".join(dict.fromkeys(branches))
    return expression if _separates(expression, wanted, others) else None


def _separates(expression: str, wanted: Iterable[str], others: Iterable[str]) -> bool:
    matches = re.compile(expression).fullmatch
    return all(map(matches, wanted)) and not any(map(matches, others))


def _expression(folded: str, *, loose: bool) -> str:
    """A folded pattern as a regular expression."""
    written: list[str] = []
    for names in pieces(folded):
        if len(names) == 1:
            written.append(re.escape(names[0]))
        elif loose and all(name.isdigit() for name in names):
            written.append(r"\d+")
        else:
            written.append(f"({'|'.join(map(re.escape, names))})")
    return "".join(written)
