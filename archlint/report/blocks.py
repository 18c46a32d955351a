"""Findings in the full report: what is wrong, where, why, what proved it and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from rich.console import RenderableType
from rich.text import Text

from archlint.core.finding import Finding, Remedy, Severity
from archlint.report import wording
from archlint.report.fixes import assurance, change, is_argument
from archlint.report.layout import GUTTER, Entry, Lines, Path, Row, Source, padded
from archlint.report.quoting import gist, one_line, visible
from archlint.report.snippet import argument

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow", Severity.INFO: "bold cyan"}
_MOST_FOLDS = 8
_LONGEST_PROOF = 280


def finding(found: Finding) -> Iterator[RenderableType]:
    """All of it."""
    identity = Text.assemble((visible(found.code), "bold"), f" {visible(found.name)}")
    if found.sites:
        identity.append(f" · {wording.plural(found.count, 'site')}", "dim")
    yield Row(severity(found.severity), identity.append(f" · {found.evidence.value}", "dim"))
    yield Row(Text(), Text(one_line(found.message), "bold"))
    if (at := found.plan_line) is not None:
        yield Lines(((wording.line(at), Text(visible(at.key), "cyan")),), Text("  plan", "dim"))
    yield from _places(found)
    if found.why:
        yield Row(Text("  why", "dim"), Text(one_line(found.why)))
    for n, line in enumerate(found.proof):
        yield Row(Text("" if n else "  proof", "dim"), Text(gist(line, _LONGEST_PROOF)), quoted=True)
    for remedy in found.remedies:
        yield from _remedy(remedy)


def _places(found: Finding) -> Iterator[RenderableType]:
    shown, rest = found.sites[:_MOST_FOLDS], found.sites[_MOST_FOLDS:]
    digits = max((len(str(fold.count)) for fold in shown), default=0)
    for n, fold in enumerate(shown):
        label = padded(Text("" if n else "  where", "dim"), GUTTER)
        yield Path(label.append(f"{fold.count:>{digits}}× "), Text(visible(fold.pattern), "cyan"))
    if rest:
        sites = wording.plural(sum(fold.count for fold in rest), "site")
        yield Row(
            Text(), Text(f"and {wording.plural(len(rest), 'pattern')} more, {sites}: --format json has them", "dim")
        )
    if found.sites or found.location:
        yield Row(Text("  class", "dim"), Text(_classes(found)))


def _classes(found: Finding) -> str:
    """The classes of the sites, and where the first one is defined."""
    first, *others = dict.fromkeys(visible(fold.type) for fold in found.sites) or [""]
    location = found.location
    place = f"{visible(location.file)}:{location.line}" if location is not None else ""
    defined = " in ".join(filter(None, (first, place)))
    return f"{defined}, and {', '.join(others)}" if others else defined


def _remedy(remedy: Remedy) -> Iterator[RenderableType]:
    text = Text.assemble(one_line(remedy.text), (f" ({assurance(remedy)})", "green" if remedy.proven else "dim"))
    yield Row(Text("  fix", "green"), text)
    yield Lines(tuple((wording.line(edit), Text(change(edit), "green")) for edit in remedy.edits), gutter=GUTTER + 2)
    if is_argument(remedy):
        yield Source(partial(argument, remedy.kind, remedy.value), GUTTER + 2, "green")


def infos(findings: Sequence[Finding]) -> Iterator[RenderableType]:
    """A line each."""
    heads = [head(found) for found in findings]
    column = max(title.cell_len for title in heads)
    for n, (found, title) in enumerate(zip(findings, heads, strict=True)):
        label = Text() if n else severity(Severity.INFO)
        at = wording.own_line(found)
        yield Entry(label, title, column, Text.assemble(one_line(found.message), (at, "dim")))


def head(found: Finding) -> Text:
    """Its code and name, and at how many sites."""
    title = Text.assemble((visible(found.code), "bold"), f" {visible(found.name)}")
    return title.append(f" × {found.count}", "dim") if found.count > 1 else title


def severity(found: Severity) -> Text:
    """The word, in its colour."""
    return Text(found.value, _STYLES[found])
