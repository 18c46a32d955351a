"""``archlint check``: the main command."""

from __future__ import annotations

import dataclasses
import difflib
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from archlint.cli.baselines import Known, baseline_options
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
from archlint.cli.output import check_writable, emit, notice, overwrite, write
from archlint.cli.progress import progress
from archlint.cli.rendering import FORMATS, render
from archlint.cli.trainers import OF_PLAN, trainer_options

if TYPE_CHECKING:
    from archlint.core.finding import Remedy, Severity
    from archlint.core.report import Run
    from archlint.core.training import Trainer
    from archlint.core.trial import Plan
    from archlint.engine import Options
    from archlint.fixing import Fixed
    from archlint.plans import PlanFile


_WHAT, _PLAN, _TRAINERS, _RULES, _REPORT = "What is checked", "Your plan", "Trainers", "Rules", "Report"
_ASKING = (_WHAT, _PLAN, _TRAINERS)


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

Trainers (trl-sft and transformers, unless the plan's file says otherwise):
  trl-sft, trl-dpo, trl-grpo, trl-kto, transformers; trl-reward or none alone

Arguments of trainers that matter (--trainer-args, once for each):
  gradient_checkpointing, gradient_accumulation_steps, router_aux_loss_coef,
  loss_type, label_smoothing_factor, weight_decay; modules_to_save of a plan

Formats:
  full or concise to read, markdown for a comment on a pull request,
  json or jsonl for programs, sarif for code scanning, github (annotations),
  gitlab (code quality) or junit (test results) for CI

A finding that is meant, in the model's own code:
  class Router(nn.Linear):  # archlint: ignore[ARC303] it stays frozen

Exit codes:
  0  nothing at or above --fail-on (error)
  1  findings, or a --diff that is not empty
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
    help="A file of PEFT or a trainer (options above win).",
    section=_PLAN,
)
@option("--fix", is_flag=True, help="Mend that file: exact, proven fixes only.", section=_PLAN)
@option("--diff", is_flag=True, help="Show what --fix would change: 1 if anything.", section=_PLAN)
@option("--unsafe-fixes", is_flag=True, help="Take lossy and unproven fixes too.", section=_PLAN)
@trainer_options(_TRAINERS)
@option("--select", multiple=True, callback=codes, metavar="CODES", help="Run these rules only.", section=_RULES)
@option("--ignore", multiple=True, callback=codes, metavar="CODES", help="Do not run these rules.", section=_RULES)
@option("--extend-select", multiple=True, callback=codes, metavar="CODES", help="Run these rules too.", section=_RULES)
@load_option(_RULES)
@option(
    "--format",
    "style",
    type=click.Choice(FORMATS),
    default="full",
    metavar="FORMAT",
    help="full, concise, json, … (all are named below).",
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
@baseline_options(_REPORT)
@source_options()
@click.pass_context
def check(ctx: click.Context, /, sources: Sequence[str], style: str, output: Path | None, **settings: Any) -> None:
    """Check the architecture of each SOURCE for what breaks when it is fine-tuned with PEFT, and by its trainer.

    SOURCE is a hub id, a folder with config.json, a JSON file, type:NAME for a model type's default
    configuration, the name of a bundled snapshot, or a published adapter, which is checked on its base model. No
    weights are loaded.
    """
    from archlint.core.finding import Severity

    plan_file = _plan_file(settings.pop("adapter_config"))
    if plan_file is not None and style != "full":  # which has them at its head
        for remark in plan_file.remarks():
            notice(remark)
    if not sources:
        sources = [_base_model(plan_file)]
    if output is not None:
        check_writable(output)
    asked = _asked(ctx)
    known = Known(settings.pop("baseline"), settings.pop("write_baseline"))
    catalog = load_catalog(settings.pop("load"))
    rules = select_rules(catalog, settings.pop("select"), settings.pop("ignore"), settings.pop("extend_select"))
    arguments = settings.pop("trainer_args")
    saved = arguments.pop(OF_PLAN, None)
    plan = _plan(**{name: settings.pop(name) for name in _PLAN_OPTIONS})
    if saved is not None:
        plan = _saving(plan, plan_file, saved)
    fix, diff, unsafe = (settings.pop(name) for name in ("fix", "diff", "unsafe_fixes"))
    if settings["trial_train"] and settings["no_prove"]:
        raise click.UsageError("--trial-train needs what --no-prove leaves out.")
    if settings["trial_train"]:
        _check_trial(settings["trainers"])
    if fix or diff:
        _check_fixable(sources, plan_file, plan)
    elif unsafe:
        raise click.UsageError("--unsafe-fixes goes with --fix or --diff.")
    if diff:
        _check_undirected(ctx)
    fail_on = None if (named := settings.pop("fail_on")) == "never" else Severity(named)
    _warn_of_commands(ctx, sources)

    from archlint.engine import Options

    options = Options(
        rules=rules,
        missing_rules=catalog.failures,
        catalog=catalog,
        plan=plan,
        plan_file=plan_file,
        trainer_arguments=arguments,
        scope=scope(settings.pop("scope")),
        prove=not settings.pop("no_prove"),
        source=source_settings(settings),
        **settings,
    )
    if diff:
        ctx.exit(_show_diff(sources[0], options, unsafe, fail_on))
    if fix:
        run, plan_file = _fix(sources[0], options, unsafe)
    else:
        run = _run(sources, options)
    run = known.applied(run, {rule.code for rule in rules}, asked)
    code = run.exit_code(fail_on)
    text = render(
        run,
        style,
        code=code,
        fail_on=fail_on,
        catalog=catalog,
        rules=rules,
        subfolder=options.source.subfolder,
        file=plan_file,
        alone=plan is None,
        given=arguments,
        to_file=output is not None,
    )
    _deliver(text, run, output)
    ctx.exit(code)


_PLAN_OPTIONS = ("target_modules", "target_parameters", "exclude_modules")


def _asked(ctx: click.Context) -> str:
    """The options that say what is checked, by which plan and for whom, as they were given."""
    spelt = {param.name: param.opts[-1] for param in ctx.command.params if getattr(param, "section", None) in _ASKING}
    return " ".join(
        f"{option} {ctx.params[name]}"
        for name, option in spelt.items()
        if name is not None and ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    )


def _plan_file(path: Path | None) -> PlanFile | None:
    from archlint.plans import PlanError, read_plan_file

    if path is None:
        return None
    try:
        return read_plan_file(path)
    except PlanError as error:
        raise click.UsageError(f"--adapter-config {error}") from error


def _base_model(file: PlanFile | None) -> str:
    if file is None:
        raise click.UsageError("no SOURCE is given.")
    if file.base_model is None:
        raise click.UsageError(f"no SOURCE is given, and {file.path} names no model.")
    return file.base_model


def _plan(**options: Sequence[str]) -> Plan | None:
    from archlint.core.trial import USER, Plan
    from archlint.plans import PlanError, names, targets

    given = {name: values for name, values in options.items() if values}
    if not given:
        return None
    arguments: dict[str, Any] = {}
    for name, values in given.items():
        try:
            arguments[name] = names(values) if name == "target_parameters" else targets(values)
        except PlanError as error:
            raise click.UsageError(f"--{name.replace('_', '-')}: {error}") from error
    return Plan(USER, arguments)


def _saving(plan: Plan | None, file: PlanFile | None, modules: Sequence[str]) -> Plan:
    """``plan`` with modules that are trained in full."""
    from archlint.core.trial import USER, Plan

    if plan is None and file is None:
        raise click.UsageError(f"--trainer-args {OF_PLAN} is part of a plan: give --target-modules as well.")
    return Plan(USER, {**({} if plan is None else plan.lora), OF_PLAN: modules})


def _check_trial(trainers: Sequence[Trainer] | None) -> None:
    from archlint.core.training import Trainer

    if trainers is not None and Trainer.SFT not in trainers:
        raise click.UsageError(f"--trial-train tries {Trainer.SFT.label} alone, and --trainer leaves trl-sft out.")


def _check_fixable(sources: Sequence[str], file: PlanFile | None, plan: Plan | None) -> None:
    if file is None:
        raise click.UsageError("--fix and --diff mend the file of --adapter-config, and none is given.")
    if len(sources) > 1:
        raise click.UsageError("--fix and --diff mend a file for one SOURCE, and several are given.")
    if plan is not None:
        names = ", ".join(name if name == OF_PLAN else f"--{name.replace('_', '-')}" for name in plan.lora)
        raise click.UsageError(f"--fix and --diff mend what is in the file, and {names} is not.")


def _check_undirected(ctx: click.Context) -> None:
    for name in ("format", "output", "baseline", "write-baseline"):
        parameter = "style" if name == "format" else name.replace("-", "_")
        if ctx.get_parameter_source(parameter) is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--diff prints a diff, and takes no --{name}.")


def _show_diff(source: str, options: Options, unsafe: bool, fail_on: Severity | None) -> int:
    """Print what :func:`_fix` would change; 1 where that is something, and else what the check itself ends with."""
    from archlint import engine

    fixed = _fixed(source, options, unsafe)
    emit(fixed.before.diff(fixed.after))
    _tell(fixed, "would be fixed")
    return 1 if fixed.done else engine.finished([fixed.report]).exit_code(fail_on)


def _fix(source: str, options: Options, unsafe: bool) -> tuple[Run, PlanFile]:
    from archlint import engine

    fixed = _fixed(source, options, unsafe)
    if fixed.done:
        overwrite(fixed.after.path, fixed.before.text, fixed.after.text)
    _tell(fixed, "fixed")
    return engine.finished([fixed.report]), fixed.after


def _fixed(source: str, options: Options, unsafe: bool) -> Fixed:
    from archlint.fixing import fix

    with progress() as tell:
        return fix(source, dataclasses.replace(options, progress=functools.partial(tell, source)), unsafe=unsafe)


def _tell(fixed: Fixed, what: str) -> None:
    from archlint.core.safety import Safety

    for finding, remedy in fixed.done:
        notice(f"{fixed.after.path}: {finding.code} {finding.name} {what}: {_alone(remedy)}")
    if not fixed.done:
        notice(f"{fixed.after.path}: nothing in it can be {what.removeprefix('would be ')} safely")
    for finding, remedy in fixed.unsafe:
        why = "it is lossy" if remedy.safety is Safety.LOSSY else "it could not be proven"
        notice(f"{fixed.after.path}: {finding.code} {finding.name} takes --unsafe-fixes, as {why}: {_alone(remedy)}")


def _alone(remedy: Remedy) -> str:
    """What a remedy does, where no report stands below."""
    return remedy.text.removesuffix(": the recipe below")


def _warn_of_commands(ctx: click.Context, sources: Sequence[str]) -> None:
    group = ctx.parent.command if ctx.parent is not None else None
    commands = group.list_commands(ctx) if isinstance(group, click.Group) else []
    for source in sources[:1]:
        near = difflib.get_close_matches(source, commands, 1, cutoff=0.8)
        if near and near[0] != source and not Path(source).exists():
            notice(f"{source!r} is no command and is taken as a source; did you mean {near[0]}?")


def _run(sources: Sequence[str], options: Options) -> Run:
    from archlint import engine

    reports = []
    with progress() as tell:
        for number, source in enumerate(sources, 1):
            place = f"{source} ({number} of {len(sources)})" if len(sources) > 1 else source
            staged = dataclasses.replace(options, progress=functools.partial(tell, place))
            reports.append(engine.check(source, staged))
    return engine.finished(reports)


def _deliver(text: str, run: Run, output: Path | None) -> None:
    from archlint.report import wording

    if output is None:
        emit(text)
    else:
        write(output, text)
        notice(f"{wording.tally(run)}: written to {output}")
