"""``archlint check``: the main command."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from archlint.cli.against import against_option, check_alone, earlier
from archlint.cli.also import OPTION as ALSO
from archlint.cli.also import also_option, check_apart
from archlint.cli.baselines import Known, baseline_options
from archlint.cli.commands import SectionedCommand, Setting
from archlint.cli.fixing import check_fixable, check_undirected, fix_options, fixed, show_diff
from archlint.cli.options import (
    PLAN,
    TRAINERS,
    WHAT,
    cache_option,
    fail_on_option,
    format_option,
    load_catalog,
    load_option,
    output_option,
    prove_option,
    rule_options,
    scope_option,
    settings_options,
    severity,
    source_options,
)
from archlint.cli.output import check_writable, deliver, emit, notice, write
from archlint.cli.plans import plan_options
from archlint.cli.rendering import FORMATS, STREAMS, render
from archlint.cli.trainers import trainer_options

if TYPE_CHECKING:
    from archlint.cli.questions import Question
    from archlint.core.report import Report, Run

_RULES, _REPORT = "Rules", "Report"


@click.command(
    cls=SectionedCommand,
    short_help="Check model architectures (the default).",
    epilog="""\
Examples:
  archlint google/gemma-4                     what breaks, and what works
  archlint meta-llama/Llama-3.1-8B --target-modules q_proj,v_proj
  archlint ./my-model --adapter-config adapter_config.json --format concise
  archlint --adapter-config train.yml --fix   a file of axolotl, TRL, unsloth, …
  archlint Qwen/Qwen3-8B --trainer trl-dpo    what TRL's DPOTrainer makes of it
  archlint google/gemma-4 Qwen/Qwen3-8B --format jsonl --output reports.jsonl
  archlint ./my-model --baseline known.json   what is new since --write-baseline
  archlint . --against origin/main            what this change brings and mends
  archlint ./my-model --format github --also sarif=archlint.sarif

Trainers (trl-sft and transformers, unless the plan's file says otherwise):
  trl-sft, trl-dpo, trl-grpo, trl-kto, transformers; trl-reward or none alone

Arguments of trainers that matter (--trainer-args, once for each):
  gradient_checkpointing, gradient_accumulation_steps, router_aux_loss_coef,
  loss_type, label_smoothing_factor, weight_decay; modules_to_save of a plan

Formats:
  full or concise to read, html as a page for a browser,
  markdown for a comment on a pull request,
  json or jsonl for programs, sarif for code scanning, github (annotations),
  gitlab (code quality) or junit (test results) for CI

A finding that is meant, in the model's own code:
  class Router(nn.Linear):  # archlint: ignore[ARC303] it stays frozen

Settings:
  [tool.archlint] in pyproject.toml, or archlint.toml: the nearest file, in the
  working directory or above; keys are named as the options are

Exit codes:
  0  nothing at or above --fail-on (error)
  1  findings, or a --diff that is not empty
  2  wrong usage or settings, or a report that cannot be written
  3  something could not be checked
""",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("sources", nargs=-1, metavar="SOURCE...")
@scope_option(WHAT)
@prove_option(WHAT)
@plan_options(PLAN)
@fix_options(PLAN)
@trainer_options(TRAINERS)
@rule_options(_RULES)
@load_option(_RULES)
@format_option(_REPORT, FORMATS, listed="full, concise, json, … (all are named below).", setting=Setting.OF_ALL)
@output_option(_REPORT, "Write there: full as x.svg or x.html has colours.")
@also_option(_REPORT)
@fail_on_option(_REPORT)
@baseline_options(_REPORT)
@against_option(_REPORT)
@source_options()
@settings_options()
@cache_option()
@click.pass_context
def check(
    ctx: click.Context,
    /,
    sources: Sequence[str],
    output: Path | None,
    fix: bool,
    diff: bool,
    unsafe_fixes: bool,
    write_baseline: Path | None,
    also: Sequence[tuple[str, Path]],
    against: str | None,
    **_: Any,
) -> None:
    """Check the architecture of each SOURCE for what breaks when it is fine-tuned with PEFT, and by its trainer.

    SOURCE is a hub id, a folder with config.json, a JSON file, type:NAME for a model type's default
    configuration, the name of a bundled snapshot, or a published adapter, which is checked on its base model. No
    weights are loaded.
    """
    from archlint.cli.questions import Asking
    from archlint.cli.settings import Choices

    if against is not None:
        check_alone(ctx)
    choices = Choices(ctx, without=() if write_baseline is None and against is None else ["baseline"])
    values = choices.of_all().values
    style = values["style"]
    catalog = load_catalog(choices.rule_files(sources or choices.sources))
    asking = Asking(ctx, choices, catalog)
    if not sources:
        sources = asking.sources()
    questions = {source: asking.question(source) for source in sources}
    if output is not None:
        check_writable(output)
    check_apart(also, {"--output": output, "--write-baseline": write_baseline})
    known = Known(values["baseline"], write_baseline)
    if style != "full":  # which has them at its head
        _tell_plans(questions.values())
    first = questions[sources[0]]
    if fix or diff:
        check_fixable(sources, first.options)
    elif unsafe_fixes:
        raise click.UsageError("--unsafe-fixes goes with --fix or --diff.")
    if diff:
        check_undirected(ctx)
    fail_on = severity(values["fail_on"])
    _warn_of_commands(ctx, sources)
    import dataclasses  # by now all is right with the call

    from archlint.report import wording

    if diff:
        report, changes = show_diff(sources[0], first.options, unsafe_fixes)
        ctx.exit(1 if changes else _run([report]).exit_code(fail_on))
    held = None if against is None else ctx.with_resource(earlier(against, questions))
    found: Iterator[Report] = _checked(sources, questions)
    if fix:
        report, options = fixed(sources[0], first.options, unsafe_fixes)
        questions = {sources[0]: dataclasses.replace(first, options=options)}
        found = iter([report])
    how = {source: question.options for source, question in questions.items()}
    rendered = functools.partial(render, fail_on=fail_on, catalog=catalog, options=how)
    is_streamed = output is None and style in STREAMS and against is None
    reports: list[Report] = []
    for source, report in zip(sources, found, strict=True):
        question = questions[source]
        one = known.applied(_run([report]), set(question.options.codes), question.asked)
        if is_streamed:
            emit(rendered(one, style=style, output=None))
        reports += one.reports
    known.keep()
    run = _run(reports)
    exit_code, tally, written = run.exit_code(fail_on), wording.tally(run), functools.partial(rendered, run)
    if held is not None:
        from archlint.cli.comparing import render_difference
        from archlint.report.difference import words

        news = held(run)
        exit_code, tally = news.exit_code(fail_on), words.tally(news)
        written = functools.partial(render_difference, news, fail_on=fail_on, catalog=catalog, options=how)
    for other, path in also:
        write(path, written(style=other, output=path), ALSO)
    if not is_streamed:
        deliver(written(style=style, output=output), tally, output)
    if style == "github":
        from archlint.cli.step_summary import append_summary

        append_summary(written(style="markdown", output=None))
    ctx.exit(exit_code)


def _tell_plans(questions: Iterable[Question]) -> None:
    files = (question.options.plan_file for question in questions)
    for file in {file.path: file for file in files if file is not None}.values():
        for remark in file.remarks():
            notice(remark)


def _warn_of_commands(ctx: click.Context, sources: Sequence[str]) -> None:
    import difflib

    group = ctx.parent.command if ctx.parent is not None else None
    commands = group.list_commands(ctx) if isinstance(group, click.Group) else []
    for source in sources[:1]:
        near = difflib.get_close_matches(source, commands, 1, cutoff=0.8)
        if near and near[0] != source and not Path(source).exists():
            notice(f"{source!r} is no command and is taken as a source; did you mean {near[0]}?")


def _checked(sources: Sequence[str], questions: Mapping[str, Question]) -> Iterator[Report]:
    import dataclasses

    from archlint import engine
    from archlint.cli.progress import progress

    for number, source in enumerate(sources, 1):
        place = f"{source} ({number} of {len(sources)})" if len(sources) > 1 else source
        with progress() as tell:  # which has standard output to itself
            options = dataclasses.replace(questions[source].options, progress=functools.partial(tell, place))
            report = engine.check(source, options)
        yield report


def _run(reports: Iterable[Report]) -> Run:
    from archlint import engine

    return engine.finished(reports)
