"""``--format full``: the report that people read.

A header, the findings by severity with their fixes, what was tried, the recipe to paste and what proved it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from rich.console import Group, RenderableType
from rich.text import Text

from archlint import __version__
from archlint.core.blueprint import ModelInfo
from archlint.core.finding import Severity
from archlint.core.report import Environment, Report, Run
from archlint.core.trial import LORA, Trial
from archlint.report import blocks, proposal, wording
from archlint.report.layout import GUTTER, Entry, Facts, Path, Row, Source, Verbatim, padded
from archlint.report.quoting import clip, gist, one_line, visible
from archlint.report.snippet import WIDTH, assignment, call, lora_config

_ORIGINS = {
    "hub": "from the hub",
    "cache": "from the hub's cache",
    "local": "local files",
    "snapshot": "bundled snapshot",
    "type": "transformers' default configuration",
    "object": "a live module",
}
_VERDICTS = {"raises": "red", "differs": "yellow", "unknown": "magenta"}
_MOST_FOLDS = 8
_MOST_DYING = 3
_LONGEST_PROOF = 280
_LONGEST_PLAN = 400
_BLANK = Text()


def render(run: Run, *, exit_code: int | None) -> RenderableType:
    """The whole run; ``exit_code`` is what the command ends with, told on the last line; ``None`` where none runs."""
    parts: list[RenderableType] = []
    for report in run.reports:
        parts += [*_report(report, run.environment), _BLANK]
        if len(run.reports) > 1:
            parts += [Text("─" * 72, "dim"), _BLANK]
    if len(run.reports) > 1:
        parts += [*_overview(run.reports), _BLANK]
    return Group(*parts, *_verdict(run, exit_code))


def _report(report: Report, environment: Environment) -> Iterator[RenderableType]:
    yield from header(report, environment)
    for finding in (*report.of(Severity.ERROR), *report.of(Severity.WARNING)):
        yield _BLANK
        yield from blocks.finding(finding)
    if report.untold:
        yield _BLANK
        for unchecked in report.untold:
            what = Text.assemble((f"{one_line(unchecked.what)}: ", "bold"), one_line(unchecked.why))
            yield Row(Text("unchecked", "bold magenta"), what, gutter=GUTTER + 2)
    if infos := report.of(Severity.INFO):
        yield _BLANK
        yield from blocks.infos(infos)
    if report.suppressed:
        yield _BLANK
        for n, one in enumerate(report.suppressed):
            label = Text("" if n else "suppressed", "bold")
            yield Row(label, Text(wording.suppressed(one), "dim"), gutter=GUTTER + 2)
    if report.plan is not None or report.stock:
        yield _BLANK
        yield from _trials(report)
    if report.verdicts or report.training.trained is not None or report.dying:
        yield _BLANK
        yield from _trainers(report)
    if proposal.is_due(report):
        yield _BLANK
        yield from _recipe(report, environment)


def header(report: Report, environment: Environment) -> Iterator[RenderableType]:
    """What it is about, where that comes from, and what a reader should know first."""
    model = report.model
    title = Text.assemble(("archlint ", "dim"), (visible(report.source), "bold"))
    if model is not None and model.id != report.source:
        title.append(f" → {visible(model.id)}", "bold")
    yield Verbatim(title)
    if model is not None:
        yield Facts(tuple(_facts(model, report)))
    origin = [] if model is None else [_origin(model)]
    packages = {"archlint": __version__, "transformers": environment.transformers, "peft": environment.peft}
    yield Facts((*origin, *(f"{name} {version}" for name, version in packages.items() if version)), "dim")
    for note in report.notes:
        yield Row(Text("note", "bold"), Text(one_line(note)))
    if model is not None and model.family:
        yield Row(Text("family", "bold"), Text(f"also {', '.join(map(visible, model.family))}"))


def _facts(model: ModelInfo, report: Report) -> Iterator[str]:
    yield visible(model.class_name)
    yield f"{wording.magnitude(model.parameters)} parameters"
    if model.layers:
        yield "layers: " + ", ".join(f"{visible(role)} {count}" for role, count in model.layers.items())
    yield f"scope {report.scope.value}"


def _origin(model: ModelInfo) -> str:
    origin = _ORIGINS.get(model.origin, model.origin)
    return f"{origin}, revision {visible(model.revision)}" if model.revision else origin


def _trials(report: Report) -> Iterator[RenderableType]:
    if report.plan is not None:
        arguments = ", ".join(assignment(name, value) for name, value in report.plan.plan.lora.items())
        tuner = "" if report.plan.plan.tuner == LORA else f"{report.plan.plan.tuner}: "
        said = clip(arguments, _LONGEST_PLAN) or "PEFT's own choice of targets"
        yield Row(Text("plan", "bold"), Text(f"{tuner}{said}"))
        yield Row(Text(), _outcome(report.plan, report), quoted=True)
        yield from _extent(report, report.plan)
        return
    column = max((len(trial.plan.name) for trial in report.stock), default=0)
    for n, trial in enumerate(report.stock):
        label = Text("" if n else "tried", "bold")
        yield Entry(label, Text(trial.plan.name), column, _outcome(trial, report), quoted=True)


def _extent(report: Report, plan: Trial) -> Iterator[RenderableType]:
    """How much of the model the user's plan trains, and where."""
    for n, part in enumerate(report.adapts[:_MOST_FOLDS]):
        label = padded(Text("" if n else "  adapts", "dim"), GUTTER)
        label.append(f"{part.sites.count}× {wording.share(part.share)} ", "dim")
        yield Path(label, Text(visible(part.sites.pattern), "cyan"))
    if others := report.adapts[_MOST_FOLDS:]:
        yield Row(Text(), Text(f"and {wording.plural(len(others), 'pattern')} more: --format json has them", "dim"))
    if plan.trainable and report.model is not None and report.model.parameters:
        portion = wording.portion(plan.trainable / report.model.parameters)
        text = f"{wording.magnitude(plan.trainable)} trainable parameters, {portion} of the model"
        on_disk = f"; {wording.size(plan.size)} on disk" if plan.size is not None else ""
        yield Row(Text("  trains", "dim"), Text(f"{text}{on_disk}", "dim"))


def _trainers(report: Report) -> Iterator[RenderableType]:
    """What each trainer makes of the model, and which adapters it leaves as they are."""
    trained = report.training.trained
    named = [verdict.trainer for verdict in report.verdicts] + ([] if trained is None else [trained.trainer])
    column = max((len(trainer.value) for trainer in named), default=0)
    for n, verdict in enumerate(report.verdicts):
        label = Text("" if n else "trainers", "bold")
        text = Text(wording.verdict(verdict), _VERDICTS.get(verdict.status, ""))
        yield Entry(label, Text(verdict.trainer.value), column, text, quoted=True)
    if trained is not None:
        text = Text(wording.trial_of(trained), "red" if trained.raised is not None else "")
        yield Entry(Text("trained", "bold"), Text(trained.trainer.value), column, text, quoted=True)
    for n, part in enumerate(report.dying):
        shown = ", ".join(visible(fold.pattern) for fold in part.sites[:_MOST_DYING])
        more = ", …" if len(part.sites) > _MOST_DYING else ""
        verb = "get" if part.count > 1 else "gets"
        count = f"{part.plan}: {wording.plural(part.count, 'adapter')} {verb} no gradient{wording.occasion(report)}: "
        body = Text.assemble(count, (f"{shown}{more}", "cyan"))
        yield Row(Text("" if n else "dead", "bold"), body, quoted=True)


def _outcome(trial: Trial, report: Report) -> Text:
    bad = trial.raised is not None or trial.crash is not None
    return Text(wording.outcome(trial, report.scope), "red" if bad else "")


def _recipe(report: Report, environment: Environment) -> Iterator[RenderableType]:
    recipe = report.recipe
    if recipe is None:
        yield Row(Text("recipe", "bold"), Text(f"none found for scope {report.scope.value}"))
        yield from _left_out(report)
        return
    label = Text(proposal.standing(recipe), "bold green" if recipe.is_sound else "bold yellow")
    other = report.plan is not None and report.plan.plan.tuner != LORA
    yield Row(label, Text(f"{'with LoRA: ' if other else ''}{wording.injection(recipe, report.scope)}"))
    size = f" · {wording.magnitude(recipe.trainable)} trainable parameters" if recipe.trainable else ""
    into = "" if report.own_code is None or report.own_code.was_run else " into the model as read"
    yield Row(Text(), Text(f"injected by peft {environment.peft}{into}{size}", "dim"))
    yield Row(Text(), Text(wording.execution(recipe), "dim" if recipe.is_sound else "yellow"))
    yield from _left_out(report)
    yield _BLANK
    yield Source(partial(lora_config, recipe.plan.lora), style="green", widest=WIDTH)
    for verdict in report.verdicts:
        if verdict.needs:
            yield Source(partial(call, verdict.trainer.config, verdict.needs), style="green", widest=WIDTH)


def _left_out(report: Report) -> Iterator[RenderableType]:
    for part in report.left_out:
        shown = ", ".join(visible(fold.pattern) for fold in part.sites[:_MOST_FOLDS])
        more = ", …" if len(part.sites) > _MOST_FOLDS else ""
        reason = gist(part.reason, _LONGEST_PROOF)
        text = Text.assemble((f"{part.count}× ", "dim"), (f"{shown}{more}", "cyan"), f": {reason}")
        yield Row(Text("  except", "dim"), text, quoted=True)


def _overview(reports: Sequence[Report]) -> Iterator[RenderableType]:
    """A table, with the column of unknown width last."""
    columns = ("errors", "warnings", "infos", "unchecked", "recipe")
    yield Verbatim(Text("  ".join((*columns, "source")), "bold"), 2)
    for report in reports:
        found = ["–"] * 3 if report.model is None else [str(len(report.of(severity))) for severity in Severity]
        recipe = "–" if report.recipe is None else wording.share(report.recipe.coverage)
        cells = (*found, str(len(report.unchecked)), recipe)
        row = [f"{cell:>{len(column)}}" for cell, column in zip(cells, columns, strict=True)]
        yield Verbatim(Text("  ".join([*row, visible(report.source)])), 2)


def _verdict(run: Run, exit_code: int | None) -> Iterator[RenderableType]:
    if first := next(run.findings, None):
        yield Verbatim(Text(f"archlint explain {visible(first.code)} tells more", "dim"))
    if exit_code is not None:
        style = {0: "bold green", 1: "bold red"}.get(exit_code, "bold magenta")
        yield Verbatim(Text.assemble((wording.tally(run), style), f" · exit code {exit_code}"))
