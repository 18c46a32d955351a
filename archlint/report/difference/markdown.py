"""``--format markdown`` of a difference: a comment on the pull request that brings it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from archlint.core.comparison import Comparison, Difference
from archlint.core.finding import Finding, Severity
from archlint.report import markdown, wording
from archlint.report.difference import words
from archlint.report.markdown import OVERVIEW, Part
from archlint.report.markup import code, prose
from archlint.report.quoting import clip

_LONGEST = 300


def render(difference: Difference) -> str:
    """What is new as tables with details folded away, and lists of what is mended or otherwise changed."""
    sections = [list(_section(comparison)) for comparison in difference.comparisons]
    return markdown.compose(words.tally(difference), sections, difference.after.environment)


def _section(comparison: Comparison) -> Iterator[Part]:
    rank = (min([finding.severity.rank for finding in comparison.bad], default=Severity.INFO.rank), OVERVIEW)
    if comparison.after is None:
        yield Part("source", f"\n#### {code(clip(comparison.source, _LONGEST))}\n", rank)
    else:
        news = dataclasses.replace(comparison.after, findings=comparison.bad)
        proposing = comparison.recipes is not None
        yield from markdown.section(news, proposing=proposing, nothing="Nothing new was found.")
    lines = [f"- {line}\n" for line in _lines(comparison)]
    for number, line in enumerate(lines):
        yield Part("change", line if number else f"\n{line}", rank)


def _lines(comparison: Comparison) -> Iterator[str]:
    if remark := words.remark(comparison):
        yield remark
    for verb, finding, remark in words.others(comparison):
        yield f"{verb}: {_told(finding, remark)}"
    for one in comparison.suppressed:
        yield f"suppressed: {prose(clip(wording.suppressed(one), _LONGEST))}"
    for finding in comparison.lost:
        yield f"not found any more, where not everything could be checked: {_told(finding)}"
    for item in comparison.checked:
        yield f"could be checked this time: {prose(clip(item.what, _LONGEST))}"
    if changes := words.recipes(comparison):
        yield f"recipe: {code(clip(changes, _LONGEST))}"


def _told(finding: Finding, remark: str = "") -> str:
    more = f" ({prose(clip(remark, _LONGEST))})" if remark else ""
    head = f"{finding.severity.value} {code(f'{finding.code} {finding.name}')}"
    return f"{head} {prose(clip(finding.message, _LONGEST))}{more}"
