"""``--format full``: the report that people read.

A header, the findings by severity with their fixes, what was tried, the recipe to paste and what proved it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from archlint.core.blueprint import ModelInfo
from archlint.core.finding import Finding, FoldedSites, Remedy, Severity
from archlint.core.report import Environment, Report, Run
from archlint.core.rule import spell
from archlint.core.trial import Trial
from archlint.report import wording
from archlint.report.escaping import clip, one_line, visible
from archlint.report.layout import GUTTER, Path, Row, Verbatim
from archlint.report.snippet import assignment, lora_config

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow", Severity.INFO: "bold cyan"}
_ORIGINS = {
    "hub": "from the hub",
    "cache": "from the hub's cache",
    "local": "local files",
    "snapshot": "bundled snapshot",
    "type": "transformers' default configuration",
    "object": "a live module",
}
_ARGUMENTS = ("target_modules", "target_parameters", "exclude_modules", "modules_to_save")
_MOST_FOLDS = 8
_LONGEST_QUOTE = 240
_BLANK = Text()


def render(run: Run, *, exit_code: int) -> RenderableType:
    """The whole run; ``exit_code`` is what the command ends with, told on the last line."""
    parts: list[RenderableType] = []
    for report in run.reports:
        parts += [*_report(report, run.environment), _BLANK]
    if len(run.reports) > 1:
        parts += [*_overview(run.reports), _BLANK]
    return Group(*parts, _verdict(run, exit_code))


def _report(report: Report, environment: Environment) -> Iterator[RenderableType]:
    yield from _header(report, environment)
    for finding in (*report.of(Severity.ERROR), *report.of(Severity.WARNING)):
        yield _BLANK
        yield from _finding(finding)
    if report.unchecked:
        yield _BLANK
        for unchecked in report.unchecked:
            what = Text.assemble((f"{one_line(unchecked.what)}: ", "bold"), one_line(unchecked.why))
            yield Row(Text("unchecked", "bold magenta"), what)
    if infos := report.of(Severity.INFO):
        yield _BLANK
        yield from _infos(infos)
    if report.plan is not None or report.stock:
        yield _BLANK
        yield from _trials(report)
    if report.model is not None:
        yield _BLANK
        yield from _recipe(report, environment)


def _header(report: Report, environment: Environment) -> Iterator[RenderableType]:
    model = report.model
    title = Text(visible(report.source), "bold")
    if model is not None and model.id != report.source:
        title.append(f" → {visible(model.id)}")
    yield Verbatim(title)
    if model is not None:
        yield Row(Text(), Text(_facts(model, report)), gutter=0)
    versions = (f"{name} {version}" for name, version in _versions(environment) if version)
    origin = [] if model is None else [_origin(model)]
    yield Row(Text(), Text(" · ".join([*origin, *versions]), "dim"), gutter=0)
    for note in report.notes:
        yield Row(Text("note", "bold"), Text(one_line(note)))


def _facts(model: ModelInfo, report: Report) -> str:
    layers = ", ".join(f"{role} {count}" for role, count in model.layers.items())
    facts = [
        visible(model.class_name),
        f"{wording.magnitude(model.parameters)} parameters",
        f"layers: {layers}" if layers else "",
        f"scope {report.scope.value}",
    ]
    return " · ".join(filter(None, facts))


def _origin(model: ModelInfo) -> str:
    origin = _ORIGINS.get(model.origin, model.origin)
    return f"{origin}, revision {visible(model.revision)}" if model.revision else origin


def _versions(environment: Environment) -> Iterator[tuple[str, str | None]]:
    yield "torch", environment.torch
    yield "transformers", environment.transformers
    yield "peft", environment.peft


def _finding(finding: Finding) -> Iterator[RenderableType]:
    yield Row(Text(finding.severity.value, _STYLES[finding.severity]), _identity(finding))
    yield Row(Text(), Text(one_line(finding.message), "bold"))
    yield from _where(finding)
    if finding.why:
        yield Row(Text("  why", "dim"), Text(one_line(finding.why)))
    for label, line in _labelled("proof", finding.proof):
        yield Row(label, Text(clip(line, _LONGEST_QUOTE)))
    for label, remedy in _labelled("fix", finding.remedies):
        yield from _remedy(label, remedy)


def _identity(finding: Finding) -> Text:
    identity = Text.assemble((visible(finding.code), "bold"), f" {visible(finding.name)}")
    if finding.sites:
        identity.append(f" · {wording.plural(finding.count, 'site')}", "dim")
    return identity.append(f" · {finding.evidence.value}", "dim")


def _where(finding: Finding) -> Iterator[RenderableType]:
    shown = finding.sites[:_MOST_FOLDS]
    digits = max((len(str(fold.count)) for fold in shown), default=0)
    for label, fold in _labelled("where", shown):
        label.pad_right(GUTTER - label.cell_len)
        yield Path(label.append(f"{fold.count:>{digits}} × "), Text(visible(fold.pattern), "cyan"))
    if rest := finding.sites[_MOST_FOLDS:]:
        sites = wording.plural(sum(fold.count for fold in rest), "site")
        yield Row(Text(), Text(f"and {sites} more in {wording.plural(len(rest), 'pattern')}: --format json has them all"))
    if finding.location is not None:
        place = f"{visible(finding.location.file)}:{finding.location.line}"
        yield Verbatim(Text(f"{_classes(finding.sites)}{place}", "dim"), GUTTER)


def _classes(sites: Iterable[FoldedSites]) -> str:
    first = next(iter(dict.fromkeys(fold.type for fold in sites)), None)
    return "" if first is None else f"class {visible(first)}, "


def _remedy(label: Text, remedy: Remedy) -> Iterator[RenderableType]:
    assurance = f"{remedy.safety.value}, proven" if remedy.proven else remedy.safety.value
    yield Row(label, Text.assemble(one_line(remedy.text), (f" ({assurance})", "green" if remedy.proven else "dim")))
    if remedy.kind in _ARGUMENTS and remedy.value is not None:
        yield Verbatim(Text(visible(assignment(remedy.kind, remedy.value)), "green"), GUTTER)


def _infos(findings: Iterable[Finding]) -> Iterator[RenderableType]:
    label = Text("info", _STYLES[Severity.INFO])
    for finding in findings:
        line = Text.assemble((visible(finding.code), "bold"), f" {visible(finding.name)}")
        if finding.count:
            line.append(f" × {finding.count}")
        yield Row(label, line.append(f" — {one_line(finding.message)}", "dim"))
        label = Text()


def _trials(report: Report) -> Iterator[RenderableType]:
    if report.plan is not None:
        yield Row(Text("plan", "bold"), Text(one_line(spell(report.plan))))
        yield Row(Text(), _outcome(report.plan, report))
    for label, trial in _labelled("tried", report.stock, style="bold"):
        yield Row(label, Text.assemble((trial.plan.name, "bold"), " → ", _outcome(trial, report)))


def _outcome(trial: Trial, report: Report) -> Text:
    return Text(clip(wording.injection(trial, report.scope), _LONGEST_QUOTE), "red" if trial.raised else "")


def _recipe(report: Report, environment: Environment) -> Iterator[RenderableType]:
    recipe = report.recipe
    if recipe is None:
        yield Row(Text("recipe", "bold"), Text(f"none found for scope {report.scope.value}"))
        return
    yield Row(Text("recipe", "bold green"), Text(wording.injection(recipe, report.scope)))
    peft = f"injected by peft {environment.peft}" if environment.peft else "injected"
    yield Row(Text(), Text(f"{peft} · {wording.execution(recipe)}", "dim"))
    yield _BLANK
    yield Verbatim(Text(lora_config(recipe.plan.lora), "green"))


def _overview(reports: Iterable[Report]) -> Iterator[RenderableType]:
    """A table, its one column of unknown width last."""
    yield Text("  errors  warnings  infos  recipe  source", "bold", no_wrap=True)
    for report in reports:
        counts = [len(report.of(severity)) for severity in Severity]
        recipe = "–" if report.recipe is None else wording.share(report.recipe.coverage)
        line = f"  {counts[0]:>6}  {counts[1]:>8}  {counts[2]:>5}  {recipe:>6}  {visible(report.source)}"
        if report.unchecked:
            line += "  (unchecked)"
        yield Verbatim(Text(line))


def _verdict(run: Run, exit_code: int) -> RenderableType:
    style = {0: "bold green", 1: "bold red"}.get(exit_code, "bold magenta")
    return Row(Text(), Text.assemble((wording.summary(run), style), f" · exit code {exit_code}"), gutter=0)


def _labelled(word: str, items: Iterable[object], style: str = "dim") -> Iterator[tuple[Text, object]]:
    """Each item with its label: the word for the first, nothing for those that follow."""
    labels = itertools.chain([Text(word if style == "bold" else f"  {word}", style)], itertools.repeat(Text()))
    return zip(labels, items)
