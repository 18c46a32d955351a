"""What the renderers of a difference say alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from archlint.core.comparison import Comparison, Difference, Pair
from archlint.core.report import Environment
from archlint.core.trial import Trial
from archlint.report import wording
from archlint.report.snippet import assignment


def tally(difference: Difference) -> str:
    """``2 new, 1 worse, 3 mended``; ``nothing new`` where that is so."""
    parts = list(filter(None, map(_count, ("new", "worse", "changed", "mended", "lost"), _counts(difference))))
    unchecked = sum(len(comparison.after.unchecked) for comparison in difference.comparisons if comparison.after)
    if unchecked:
        parts.append(f"{unchecked} not checked")
    return ", ".join(parts) or "nothing new"


def _counts(difference: Difference) -> tuple[int, ...]:
    found = difference.comparisons
    worse = sum(pair.is_worse for comparison in found for pair in comparison.changed)
    return (
        sum(len(comparison.new) for comparison in found),
        worse,
        sum(len(comparison.changed) for comparison in found) - worse,
        sum(len(comparison.mended) for comparison in found),
        sum(len(comparison.lost) for comparison in found),
    )


def _count(word: str, number: int) -> str:
    return f"{number} {word}" if number else ""


def versions(before: Environment, after: Environment) -> Iterator[str]:
    """What differs between two environments: ``peft 0.20.0 → 0.21.2``."""
    old, new = asdict(before), asdict(after)
    for name in new:
        if old[name] != new[name]:
            yield f"{name} {old[name] or '–'} → {new[name] or '–'}"


def changes(pair: Pair) -> str:
    """What is not as it was of a finding: its severity, its wording or its places."""
    before, after = pair.before, pair.after
    parts = []
    if before.severity is not after.severity:
        parts.append(f"was {'an' if before.severity.value[0] in 'aeiou' else 'a'} {before.severity.value}")
    if before.count != after.count:
        parts.append(f"was at {wording.plural(before.count, 'site')}, is at {after.count}")
    elif before.message == after.message and before.severity is after.severity:
        parts.append("at other places")
    if before.message != after.message:
        parts.append(f"said: {before.message}")
    return "; ".join(parts)


def recipe(before: Trial | None, after: Trial | None) -> Iterator[str]:
    """What is not as it was of a recipe: arguments first."""
    old, new = _arguments(before), _arguments(after)
    for name in dict.fromkeys([*old, *new]):
        if old.get(name) != new.get(name):
            yield f"{_written(name, old)} → {_written(name, new)}"


def _arguments(trial: Trial | None) -> Mapping[str, Any]:
    return {} if trial is None else trial.plan.lora


def _written(name: str, arguments: Mapping[str, Any]) -> str:
    return assignment(name, arguments[name]) if name in arguments else f"no {name}"


def remark(comparison: Comparison) -> str:
    """Why there is nothing to hold side by side; empty where there is."""
    if comparison.after is None:
        return "not checked any more"
    return "checked for the first time" if comparison.before is None else ""
