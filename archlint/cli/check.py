"""``archlint check``: the main command."""

from __future__ import annotations

import dataclasses
import difflib
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from archlint.cli.commands import SectionedCommand, option
from archlint.cli.options import (
    codes,
    load_catalog,
    load_option,
    scope,
    scope_option,
    select_rules,
    source_options,
    source_settings,
)
from archlint.cli.output import check_writable, emit, is_terminal, notice, wants_color, width, write
from archlint.cli.progress import progress

if TYPE_CHECKING:
    from archlint.core.report import Run
    from archlint.engine import Options
    from archlint.plans import AdapterConfig


_WHAT, _PLAN, _RULES, _REPORT = "What is checked", "Your plan", "Rules", "Report"


@click.command(
    cls=SectionedCommand,
    short_help="Check model architectures (the default).",
    epilog="""\
Examples:
  archlint google/gemma-4                     what breaks, and what works
  archlint meta-llama/Llama-3.1-8B --target-modules q_proj,v_proj
  archlint ./my-model --adapter-config adapter_config.json --format concise
  archlint google/gemma-4 Qwen/Qwen3-8B --format jsonl --output reports.jsonl

Exit codes:
  0  nothing at or above --fail-on (error)
  1  findings
  2  wrong usage or settings, or a report that cannot be written
  3  something could not be checked
""",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("sources", nargs=-1, metavar="SOURCE...")
@scope_option(_WHAT)
@option("--no-prove", is_flag=True, help="Read the structure only: plans stay unchecked.", section=_WHAT)
@option(
    "--target-modules",
    multiple=True,
    metavar="TARGETS",
    help="Names with commas, a regex, or all-linear.",
    section=_PLAN,
)
@option(
    "--target-parameters",
    multiple=True,
    metavar="NAMES",
    help="Parameters, such as those of fused experts.",
    section=_PLAN,
)
@option(
    "--exclude-modules", multiple=True, metavar="TARGETS", help="What to leave out: names or a regex.", section=_PLAN
)
@option(
    "--adapter-config",
    type=click.Path(exists=True, path_type=Path),
    metavar="FILE",
    help="PEFT's adapter_config.json (options above win).",
    section=_PLAN,
)
@option("--select", multiple=True, callback=codes, metavar="CODES", help="Run these rules only.", section=_RULES)
@option("--ignore", multiple=True, callback=codes, metavar="CODES", help="Do not run these rules.", section=_RULES)
@option("--extend-select", multiple=True, callback=codes, metavar="CODES", help="Run these rules too.", section=_RULES)
@load_option(_RULES)
@option(
    "--format",
    "style",
    type=click.Choice(["full", "concise", "json", "jsonl"]),
    default="full",
    metavar="FORMAT",
    help="full, concise, json or jsonl.",
    section=_REPORT,
)
@option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write there, not to standard output.",
    section=_REPORT,
)
@option(
    "--fail-on",
    type=click.Choice(["error", "warning", "info", "never"]),
    default="error",
    metavar="SEVERITY",
    help="Exit code 1 from: error, warning, info or never.",
    section=_REPORT,
)
@source_options()
@click.pass_context
def check(ctx: click.Context, /, sources: Sequence[str], style: str, output: Path | None, **settings: Any) -> None:
    """Check the architecture of each SOURCE for what breaks when it is fine-tuned with PEFT.

    SOURCE is a hub id, a folder with config.json, a JSON file, type:NAME for a model type's default
    configuration, or the name of a bundled snapshot. No weights are loaded.
    """
    from archlint.core.finding import Severity

    adapter = _adapter_config(settings.pop("adapter_config"))
    if not sources:
        sources = [_base_model(adapter)]
    if output is not None:
        check_writable(output)
    catalog = load_catalog(settings.pop("load"))
    rules = select_rules(catalog, settings.pop("select"), settings.pop("ignore"), settings.pop("extend_select"))
    plan = _plan(adapter, **{name: settings.pop(name) for name in _PLAN_OPTIONS})
    fail_on = settings.pop("fail_on")
    _warn_of_commands(ctx, sources)

    from archlint.engine import Options

    options = Options(
        rules=rules,
        missing_rules=catalog.failures,
        plan=plan,
        scope=scope(settings.pop("scope")),
        prove=not settings.pop("no_prove"),
        source=source_settings(settings),
        **settings,
    )
    run = _run(sources, options)
    code = run.exit_code(None if fail_on == "never" else Severity(fail_on))
    _deliver(run, code, style, output)
    ctx.exit(code)


_PLAN_OPTIONS = ("target_modules", "target_parameters", "exclude_modules")


def _adapter_config(file: Path | None) -> AdapterConfig | None:
    from archlint.plans import PlanError, read_adapter_config

    if file is None:
        return None
    try:
        adapter = read_adapter_config(file)
    except PlanError as error:
        raise click.UsageError(f"--adapter-config {error}") from error
    if adapter.unknown:
        notice(f"{file}: the installed PEFT does not know, and ignores: {', '.join(adapter.unknown)}")
    return adapter


def _base_model(adapter: AdapterConfig | None) -> str:
    if adapter is None:
        raise click.UsageError("no SOURCE is given.")
    if adapter.base_model is None:
        raise click.UsageError("no SOURCE is given, and the adapter config names no base_model_name_or_path.")
    return adapter.base_model


def _plan(adapter: AdapterConfig | None, **options: Sequence[str]) -> dict[str, Any] | None:
    from archlint.plans import PlanError, names, targets

    given = {name: values for name, values in options.items() if values}
    if adapter is None and not given:
        return None
    plan = {} if adapter is None else dict(adapter.lora)
    for name, values in given.items():
        try:
            plan[name] = names(values) if name == "target_parameters" else targets(values)
        except PlanError as error:
            raise click.UsageError(f"--{name.replace('_', '-')}: {error}") from error
    return plan


def _warn_of_commands(ctx: click.Context, sources: Sequence[str]) -> None:
    group = ctx.parent.command if ctx.parent is not None else None
    commands = group.list_commands(ctx) if isinstance(group, click.Group) else []
    for source in sources[:1]:
        near = difflib.get_close_matches(source, commands, 1, cutoff=0.8)
        if near and near[0] != source and not Path(source).exists():
            notice(f"{source!r} is no command and is taken as a source; did you mean {near[0]}?")


def _run(sources: Sequence[str], options: Options) -> Run:
    from archlint import engine
    from archlint.core.report import Run

    reports = []
    with progress() as tell:
        for number, source in enumerate(sources, 1):
            place = f"{source} ({number} of {len(sources)})" if len(sources) > 1 else source
            staged = dataclasses.replace(options, progress=functools.partial(tell, place))
            reports.append(engine.check(source, staged))
    return Run(engine.environment(), tuple(reports))


def _deliver(run: Run, code: int, style: str, output: Path | None) -> None:
    from archlint.report import wording

    text = _render(run, code, style, to_file=output is not None)
    if output is None:
        emit(text)
    else:
        write(output, text)
        notice(f"{wording.tally(run)}: written to {output}")


def _render(run: Run, code: int, style: str, *, to_file: bool) -> str:
    if style == "json":
        from archlint.report import json_document

        return json_document.render(run)
    if style == "jsonl":
        from archlint.report import json_lines

        return json_lines.render(run)
    if style == "concise":
        from archlint.report import concise

        return concise.render(run)
    from archlint.report import full
    from archlint.report.layout import draw

    screen = is_terminal() and not to_file
    return draw(full.render(run, exit_code=code), width=width(), terminal=screen, color=screen and wants_color())
