"""``archlint/diff/v1``: a difference in JSON values, with findings as ``archlint/report/v1`` has them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from importlib.resources import files
from typing import Any

from archlint import __version__
from archlint.core.comparison import Comparison, Difference
from archlint.core.finding import Severity
from archlint.core.report import Run, Unchecked
from archlint.core.trial import Trial
from archlint.report import contract
from archlint.report.contract import environment, finding, planned

SCHEMA = "archlint/diff/v1"


def schema() -> Any:
    """The JSON Schema (draft 2020-12) that every document validates against."""
    own = json.loads(files("archlint.report.difference").joinpath("schema.json").read_text(encoding="utf-8"))
    return {**own, "$defs": contract.schema()["$defs"]}


def document(difference: Difference) -> dict[str, Any]:
    """A difference as one document of JSON values."""
    comparisons = difference.comparisons
    bad = [finding.severity for comparison in comparisons for finding in comparison.bad]
    return {
        "schema": SCHEMA,
        "archlint": __version__,
        "before": _run(difference.before),
        "after": _run(difference.after),
        "comparisons": [_comparison(comparison) for comparison in comparisons],
        "summary": {
            "new": sum(len(comparison.new) for comparison in comparisons),
            "mended": sum(len(comparison.mended) for comparison in comparisons),
            "changed": sum(len(comparison.changed) for comparison in comparisons),
            "worse": sum(pair.is_worse for comparison in comparisons for pair in comparison.changed),
            "lost": sum(len(comparison.lost) for comparison in comparisons),
            "errors": bad.count(Severity.ERROR),
            "warnings": bad.count(Severity.WARNING),
            "infos": bad.count(Severity.INFO),
            "unchecked": sum(len(comparison.after.unchecked) for comparison in comparisons if comparison.after),
        },
    }


def render(difference: Difference) -> str:
    """The document, indented."""
    return json.dumps(document(difference), indent=2, allow_nan=False) + "\n"


def lines(difference: Difference) -> str:
    """A document on a line for each source."""
    alone = (dataclasses.replace(difference, comparisons=(comparison,)) for comparison in difference.comparisons)
    return "".join(json.dumps(document(one), allow_nan=False) + "\n" for one in alone)


def _run(run: Run) -> dict[str, Any]:
    return {"created": run.created, "environment": environment(run.environment)}


def _comparison(comparison: Comparison) -> dict[str, Any]:
    recipes = comparison.recipes
    return {
        "source": comparison.source,
        "before": None if comparison.before is None else comparison.before.status,
        "after": None if comparison.after is None else comparison.after.status,
        "new": list(map(finding, comparison.new)),
        "mended": list(map(finding, comparison.mended)),
        "changed": [{"before": finding(pair.before), "after": finding(pair.after)} for pair in comparison.changed],
        "suppressed": list(map(contract.suppressed, comparison.suppressed)),
        "lost": list(map(finding, comparison.lost)),
        "unchecked": _unchecked(comparison.unchecked),
        "still_unchecked": _unchecked(comparison.still_unchecked),
        "checked": _unchecked(comparison.checked),
        "recipe": None if recipes is None else {"before": _trial(recipes[0]), "after": _trial(recipes[1])},
    }


def _trial(recipe: Trial | None) -> dict[str, Any] | None:
    return None if recipe is None else planned(recipe)


def _unchecked(items: Iterable[Unchecked]) -> list[dict[str, str]]:
    return [{"what": item.what, "why": item.why} for item in items]
