"""``--format full`` of a difference: what is new with its fix, and a line for what is mended or otherwise changed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from rich.console import Group, RenderableType
from rich.text import Text

from archlint.core.comparison import Comparison, Difference
from archlint.core.finding import Finding, Severity
from archlint.core.report import Unchecked
from archlint.report import blocks, wording
from archlint.report.difference import words
from archlint.report.layout import GUTTER, Facts, Row, Source, Verbatim
from archlint.report.quoting import gist, one_line, visible
from archlint.report.snippet import WIDTH, call, lora_config

_LONGEST = 400
_STYLES = {"changed": "yellow", "mended": "bold green", "gone": "dim"}
"""Of what is told in a line; the rest of what is not as it was is told like what is new."""
_BLANK = Text()


def render(difference: Difference, *, exit_code: int) -> RenderableType:
    """All sources; ``exit_code`` is what the command ends with, told on the last line."""
    parts: list[RenderableType] = [Verbatim(Text.assemble(("archlint ", "dim"), ("what changed", "bold")))]
    versions = tuple(words.versions(difference.before.environment, difference.after.environment))
    parts += [Facts(versions or ("the same versions of everything",), "dim"), _BLANK]
    for comparison in difference.comparisons:
        parts += [*_comparison(comparison), _BLANK]
    style = {0: "bold green", 1: "bold red"}.get(exit_code, "bold magenta")
    return Group(*parts, Verbatim(Text.assemble((words.tally(difference), style), f" · exit code {exit_code}")))


def _comparison(comparison: Comparison) -> Iterator[RenderableType]:
    yield Verbatim(Text(visible(comparison.source), "bold"))
    if remark := words.remark(comparison):
        yield Row(Text("note", "bold"), Text(remark))
    bad = [(finding, "new") for finding in comparison.new if finding.severity is not Severity.INFO]
    others = list(words.others(comparison))
    bad += [(finding, f"{verb}: {remark}") for verb, finding, remark in others if verb not in _STYLES]
    for finding, remark in bad:
        yield Verbatim(Text(gist(remark, _LONGEST), "bold red"))
        yield from blocks.finding(finding)
        yield _BLANK
    for finding in comparison.new:
        if finding.severity is Severity.INFO:
            yield _line("new", "cyan", finding)
    for verb, finding, remark in others:
        if verb in _STYLES:
            yield _line(verb, _STYLES[verb], finding, remark)
    for one in comparison.suppressed:
        yield _line("silenced", "cyan", one.finding, f"by {wording.suppressed(one)}")
    for finding in comparison.lost:
        yield _line("lost", "magenta", finding, "not found, where not everything could be checked")
    for item in comparison.unchecked:
        yield _item("unchecked", "bold magenta", item)
    for item in comparison.still_unchecked:
        yield _item("unchecked", "magenta", item, " (as before)")
    for item in comparison.checked:
        yield _item("checked", "green", item)
    yield from _recipe(comparison)
    if comparison.is_same:
        yield Row(Text("same", "dim"), Text(f"as before: {wording.plural(len(comparison.same), 'finding')}"))
    elif comparison.same:
        yield Row(Text("same", "dim"), Text(f"{wording.plural(len(comparison.same), 'finding')} as before", "dim"))


def _line(label: str, style: str, finding: Finding, remark: str = "") -> Row:
    severity = (f"{finding.severity.value} ", "dim")
    head = Text.assemble(severity, blocks.head(finding), f": {one_line(finding.message)}")
    return Row(Text(label, style), head.append(f" ({gist(remark, _LONGEST)})" if remark else "", "dim"), quoted=True)


def _item(label: str, style: str, item: Unchecked, remark: str = "") -> Row:
    told = Text.assemble((f"{one_line(item.what)}: ", "bold"), one_line(item.why), (remark, "dim"))
    return Row(Text(label, style), told, gutter=GUTTER + 2, quoted=True)


def _recipe(comparison: Comparison) -> Iterator[RenderableType]:
    """How it changed; the source to paste as well where that did, or where a fix names it."""
    if comparison.after is None:
        return
    after, scope = comparison.after.recipe, comparison.after.scope
    is_due = any(remedy.by_recipe for finding in comparison.bad for remedy in finding.remedies)
    if (recipes := comparison.recipes) is not None:
        before, _ = recipes
        yield Row(Text("recipe", "bold"), Text("none any more" if after is None else wording.outcome(after, scope)))
        yield Row(Text("  was", "dim"), Text("none" if before is None else wording.outcome(before, scope), "dim"))
        changes = list(words.recipe(before, after))
        for change in changes:
            yield Row(Text(), Text(gist(change, _LONGEST)), quoted=True)
        is_due = is_due or bool(changes)
    if is_due and after is not None:
        yield _BLANK
        yield Source(partial(lora_config, after.plan.lora), style="green", widest=WIDTH)
        for verdict in comparison.after.verdicts:
            if verdict.needs:
                yield Source(partial(call, verdict.trainer.config, verdict.needs), style="green", widest=WIDTH)
        yield _BLANK
