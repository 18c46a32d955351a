"""What the renderers of a difference say alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from archlint.core.comparison import Comparison, Difference, Pair
from archlint.core.finding import Finding, Severity
from archlint.core.report import Environment
from archlint.core.trial import Trial
from archlint.report import wording
from archlint.report.snippet import assignment


def tally(difference: Difference) -> str:
    """``2 new, 1 worse, 3 mended, 1 new info``; ``nothing new`` where that is so."""
    found = difference.comparisons
    new = [finding for comparison in found for finding in comparison.new]
    infos = sum(finding.severity is Severity.INFO for finding in new)
    pairs = [pair for comparison in found for pair in comparison.changed]
    worse = sum(verb(pair) == _WORSE for pair in pairs)
    gone = [gone_as(finding) for comparison in found for finding in comparison.mended]
    counts = {
        "new": len(new) - infos,
        "worse": worse,
        "mended": gone.count(_MENDED),
        "lost": sum(len(comparison.lost) for comparison in found),
        "suppressed": sum(len(comparison.suppressed) for comparison in found),
        "changed": len(pairs) - worse,
        "new infos" if infos > 1 else "new info": infos,
        "not checked any more": sum(comparison.after is None for comparison in found),
        "not checked": sum(len(comparison.after.unchecked) for comparison in found if comparison.after),
    }
    told = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    return told if counts["new"] or worse or infos else f"nothing new{told and f', {told}'}"


_MENDED, _WORSE = "mended", "worse"


def verb(pair: Pair) -> str:
    """What became of a finding that is still there: a trait that spreads is no harm, and is not worse."""
    return _WORSE if pair.is_worse and pair.after.severity is not Severity.INFO else "changed"


def gone_as(finding: Finding) -> str:
    """What became of a finding that is not found any more: a trait is no harm, and is not mended."""
    return "gone" if finding.severity is Severity.INFO else _MENDED


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


def others(comparison: Comparison) -> Iterator[tuple[str, Finding, str]]:
    """What is not as it was, beside what is new: a word for it, the finding, and a remark."""
    yield from ((verb(pair), pair.after, changes(pair)) for pair in comparison.changed)
    yield from ((gone_as(finding), finding, "") for finding in comparison.mended)


def recipes(comparison: Comparison) -> str:
    """How the recipe changed, in a line; empty where it did not."""
    if comparison.recipes is None:
        return ""
    return "; ".join(recipe(*comparison.recipes)) or "the same arguments come to something else"


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
    """Why there is nothing to hold side by side, or not all; empty where there is."""
    if comparison.after is None:
        return "not checked any more"
    if comparison.before is None:
        return "checked for the first time"
    unsure = comparison.was_blind and bool(comparison.new)
    return "not everything could be checked before: what is new may have been there" if unsure else ""
