"""``--format concise`` of a difference: a line for each thing that is not as it was, or cannot be checked."""

from __future__ import annotations

from collections.abc import Iterator

from archlint.core.comparison import Comparison, Difference
from archlint.report import concise, wording
from archlint.report.difference import words
from archlint.report.quoting import one_line


def render(difference: Difference) -> str:
    """``source: new error CODE name …``, and likewise what is ``worse``, ``mended``, ``lost``, ``unchecked``, …."""
    return "".join(f"{line}\n" for comparison in difference.comparisons for line in _lines(comparison))


def _lines(comparison: Comparison) -> Iterator[str]:
    source = one_line(comparison.source)
    if remark := words.remark(comparison):
        yield f"{source}: {remark}"
    for finding in comparison.new:
        yield f"{source}: new {concise.told(finding)}"
    for verb, finding, remark in words.others(comparison):
        yield f"{source}: {verb} {concise.told(finding)}{f' ({one_line(remark)})' if remark else ''}"
    for one in comparison.suppressed:
        yield f"{source}: suppressed {wording.suppressed(one)}"
    for finding in comparison.lost:
        yield f"{source}: lost {concise.told(finding)}"
    for item in comparison.unchecked:
        yield f"{source}: unchecked {one_line(item.what)}: {one_line(item.why)}"
    for item in comparison.still_unchecked:
        yield f"{source}: still unchecked {one_line(item.what)}: {one_line(item.why)}"
    for item in comparison.checked:
        yield f"{source}: checked {one_line(item.what)}"
    if changes := words.recipes(comparison):
        yield f"{source}: recipe {one_line(changes)}"
