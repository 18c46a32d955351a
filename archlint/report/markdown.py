"""``--format markdown``: GitHub-flavoured, for a comment on a pull request.

A verdict, and of each source a table of what was found, the details folded away, and the recipe to paste.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from archlint import __version__
from archlint.core.finding import Finding, Remedy, Severity
from archlint.core.report import Environment, Report, Run
from archlint.report import proposal, wording
from archlint.report.fixes import assurance, change, is_argument
from archlint.report.markup import code, fenced, prose, row
from archlint.report.places import listed
from archlint.report.quoting import clip, gist, visible
from archlint.report.snippet import WIDTH, argument

MOST = 65_536
"""Characters that GitHub takes in a comment."""
_ROOM = MOST - 1_500
"""Those for the report: the line about what is left out needs some, and so does what a workflow adds."""
_LONGEST_CELL = 300
_LONGEST_PROOF = 500


@dataclass(frozen=True)
class Part:
    """A stretch of the comment, which is left out as a whole where there is no room."""

    noun: str
    text: str
    rank: tuple[int, int]
    """How grave it is and what it is: the higher, the sooner it is left out."""


OVERVIEW, RECIPE, DETAILS = range(3)


def render(run: Run) -> str:
    """The run as Markdown, no longer than a comment may be: a line says what is left out."""
    return compose(wording.tally(run), [list(section(report)) for report in run.reports], run.environment)


def compose(headline: str, sections: Sequence[Sequence[Part]], environment: Environment) -> str:
    """A comment of ``sections``, one a source, and what of them there is room for."""
    head = f"### archlint: {headline}\n"
    foot = f"\n{_versions(environment)}\n"
    kept, lost = _fitting(sections, _ROOM - len(head) - len(foot))
    return "".join([head, *(part.text for part in kept), *_remark(lost), foot])


def _fitting(sections: Sequence[Sequence[Part]], room: int) -> tuple[list[Part], Counter[str]]:
    """Parts for ``room`` characters, in order, and how many of each kind there is none for.

    Of a section without room for its first part there is nothing, and of the others of it nothing is counted.
    """
    numbered = [(number, part) for number, section in enumerate(sections) for part in section]
    there: set[int] = set()
    kept, lost = [], Counter[str]()
    for index, (number, part) in sorted(enumerate(numbered), key=lambda item: item[1][1].rank):
        if part is not sections[number][0] and number not in there:
            continue
        if len(part.text) > room:
            lost[part.noun] += 1
            continue
        room -= len(part.text)
        kept.append(index)
        there.add(number)
    return [numbered[index][1] for index in sorted(kept)], lost


def _remark(lost: Counter[str]) -> Iterator[str]:
    if lost:
        what = ", ".join(wording.plural(count, noun) for noun, count in lost.items())
        yield f"\nLeft out, as a comment holds {MOST:,} characters: {what}. `--format full` has everything.\n"


def _versions(environment: Environment) -> str:
    packages = {"archlint": __version__, "transformers": environment.transformers, "peft": environment.peft}
    return " · ".join(prose(f"{name} {version}") for name, version in packages.items() if version)


def section(report: Report, *, proposing: bool | None = None, nothing: str = "Nothing was found.") -> Iterator[Part]:
    """What there is to say of one source, the gravest in the smallest parts.

    Args:
        report: on that source.
        proposing: whether its recipe is shown; by default where one is due.
        nothing: what to say where it has no findings.
    """
    gravity = _gravity(report)
    first, *others = [row(*cells) for cells in _rows(report)] or [""]
    head = "".join([*_head(report), _COLUMNS if first else f"\n{nothing}\n", first])
    yield Part("source", head, (gravity, OVERVIEW))
    for line in others:
        yield Part("table row", line, (gravity, OVERVIEW))
    for finding in report.findings:
        if details := "\n".join(_details(finding)):
            yield Part("details block", _folded(finding, details), (finding.severity.rank, DETAILS))
    if proposal.is_due(report) if proposing is None else proposing:
        yield Part("recipe", "".join(f"\n{block}" for block in _recipe(report)), (gravity, RECIPE))


def _gravity(report: Report) -> int:
    """The rank of the worst that is found; what was not checked is no better than a warning."""
    ranks = [finding.severity.rank for finding in report.findings]
    return min([*ranks, Severity.WARNING.rank if report.unchecked else Severity.INFO.rank])


def _rows(report: Report) -> Iterator[tuple[str, ...]]:
    for finding in report.findings:
        rule = code(f"{finding.code} {finding.name}")
        yield finding.severity.value, rule, _brief(finding.message), _where(finding)
    for unchecked in report.untold:
        yield "not checked", "–", _brief(f"{unchecked.what}: {unchecked.why}"), "–"


_COLUMNS = f"\n{row('severity', 'rule', 'what', 'where')}{row(*['---'] * 4)}"


def _head(report: Report) -> Iterator[str]:
    model = report.model
    other = f" → {_short(model.id)}" if model is not None and model.id != report.source else ""
    yield f"\n#### {_short(report.source)}{other}\n"
    if model is not None:
        yield (
            f"\n{_short(model.class_name)} · {wording.magnitude(model.parameters)} parameters · "
            f"scope {report.scope.value}\n"
        )
    for note in report.notes:
        yield f"\nNote: {_brief(note)}\n"
    for one in report.suppressed:
        yield f"\nSuppressed: {_brief(wording.suppressed(one))}\n"
    if (plan := report.plan) is not None:
        yield f"\nPlan: {prose(wording.outcome(plan, report.scope))}\n"


def _short(name: str) -> str:
    return code(clip(name, _LONGEST_CELL))


def _brief(text: str) -> str:
    return prose(clip(text, _LONGEST_CELL))


def _where(finding: Finding) -> str:
    """The line of the plan, or the first place in the model."""
    if finding.plan_line is not None:
        return _short(wording.line(finding.plan_line))
    if not finding.sites:
        return "–"
    first, *others = finding.sites
    more = f" and {wording.plural(len(others), 'pattern')} more" if others else ""
    return f"{first.count}× {_short(first.pattern)}{more}"


def _folded(finding: Finding, details: str) -> str:
    title = html.escape(visible(f"{finding.code} {finding.name}"))
    sites = f" · {wording.plural(finding.count, 'site')}" if finding.sites else ""
    summary = f"{finding.severity.value} <code>{title}</code>{sites} · {finding.evidence.value}"
    return f"\n<details>\n<summary>{summary}</summary>\n\n{details}\n</details>\n"


def _details(finding: Finding) -> Iterator[str]:
    """Blocks of Markdown, each ending in a line break."""
    if finding.sites:
        yield fenced("\n".join(listed(finding)))
    if (defined := finding.location) is not None:
        yield f"**Class**: {code(f'{defined.file}:{defined.line}')}\n"
    if finding.why:
        yield f"**Why**: {prose(finding.why)}\n"
    if finding.proof:
        yield "**Proof**:\n"
        yield fenced("\n".join(gist(line, _LONGEST_PROOF) for line in finding.proof))
    for remedy in finding.remedies:
        yield f"**Fix** ({assurance(remedy)}): {prose(remedy.text)}\n"
        yield from _change(remedy)


def _change(remedy: Remedy) -> Iterator[str]:
    if remedy.edits:
        yield fenced("\n".join(f"{wording.line(edit)}  {change(edit)}" for edit in remedy.edits))
    if is_argument(remedy):
        yield fenced(argument(remedy.kind, remedy.value, WIDTH), "python")


def _recipe(report: Report) -> Iterator[str]:
    """Likewise."""
    recipe = report.recipe
    if recipe is None:
        yield f"**Recipe**: none was found for the scope {report.scope.value}.\n"
    else:
        yield f"**{proposal.standing(recipe).capitalize()}**: {prose(wording.outcome(recipe, report.scope))}\n"
    yield from _left_out(report)
    if recipe is not None:
        yield fenced(proposal.source(report), "python")


def _left_out(report: Report) -> Iterator[str]:
    if report.left_out:
        yield "".join(
            f"- except {part.count}× {_short(', '.join(fold.pattern for fold in part.sites))}: "
            f"{prose(gist(part.reason, _LONGEST_CELL))}\n"
            for part in report.left_out
        )
