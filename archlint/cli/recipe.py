"""``archlint recipe``: just the recipe, to paste or to pipe."""

from __future__ import annotations

import dataclasses
import functools
import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from archlint.cli.commands import UNCHECKED, SectionedCommand, option
from archlint.cli.options import (
    cache_option,
    format_option,
    kept,
    scope,
    scope_option,
    settings_options,
    source_options,
    source_settings,
)
from archlint.cli.output import emit, notice
from archlint.cli.progress import progress

if TYPE_CHECKING:
    from archlint.core.report import Report
    from archlint.core.trial import Trial
    from archlint.engine import Options
    from archlint.plans.dialect import Dialect


_RECIPE = "Recipe"


@click.command(
    cls=SectionedCommand,
    short_help="Print a LoraConfig that works, to paste or to pipe.",
    epilog="""\
Examples:
  archlint recipe google/gemma-4
  archlint recipe google/gemma-4 --rank 16 --format json > adapter_config.json
  archlint recipe google/gemma-4 --for axolotl --preset attention-mlp >> train.yml

Exit codes:
  0  a recipe was printed
  1  there is none, or TRL cannot train the model and --for trl is given
  2  wrong usage or settings, or a recipe that cannot be written
  3  the source could not be checked
""",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("source")
@scope_option(_RECIPE)
@option(
    "--preset",
    type=click.Choice(["all", "attention", "attention-mlp", "no-experts"]),
    default="all",
    metavar="LAYERS",
    help="all, attention, attention-mlp or no-experts.",
    section=_RECIPE,
)
@option("--rank", type=click.IntRange(min=1), metavar="N", help="Set r, and lora_alpha to the same.", section=_RECIPE)
@option(
    "--for",
    "tool",
    type=click.Choice(["peft", "trl", "axolotl", "llama-factory", "unsloth", "ms-swift"]),
    metavar="TOOL",
    help="peft, trl, axolotl, llama-factory, unsloth or ms-swift.",
    section=_RECIPE,
)
@format_option(_RECIPE, ("python", "json"), listed="For peft: python, or json (an adapter_config.json).")
@source_options()
@settings_options()
@cache_option()
@click.pass_context
def recipe(
    ctx: click.Context, /, source: str, rank: int | None, style: str, tool: str | None, preset: str, **_: Any
) -> None:
    """Print a LoraConfig that fits SOURCE, or the same in the keys of a trainer: tried with PEFT, nothing besides.

    What was proven of it goes to standard error.
    """
    from archlint import engine
    from archlint.cli.settings import Choices
    from archlint.core.means import ALL
    from archlint.core.presets import Preset
    from archlint.plans import dialect
    from archlint.report import wording
    from archlint.solving import with_rank

    if tool not in (None, "peft") and style != "python":
        raise click.UsageError(f"--format {style} is for peft, and {tool} has a format of its own.")
    values = Choices(ctx).of(source).values
    options = engine.Options(
        scope=scope(values["scope"]),
        preset=Preset(preset),
        trainers=None if tool in (None, "peft", "trl") else (),
        means=ALL if tool is None else dialect(tool).means,
        source=source_settings(values),
        store=kept(values),
    )
    shorter: str | None = None
    with progress() as tell:
        options = dataclasses.replace(options, progress=functools.partial(tell, source))
        with engine.checking(source, options) as judge:
            report = judge(options)
            if report.recipe is not None and tool not in (None, "peft"):
                shorter = _shorter(report, dialect(tool), with_rank(rank, report.recipe.plan.lora), judge, options)
    for note in report.notes:
        notice(f"note: {note}")
    if report.recipe is None:
        for unchecked in report.unchecked:
            notice(f"error: {unchecked.what}: {unchecked.why}")
        if not report.unchecked:
            notice(f"error: no recipe was found for scope {report.scope.value}")
        ctx.exit(UNCHECKED if report.unchecked else 1)
    trial = report.recipe
    emit(shorter or _written(with_rank(rank, trial.plan.lora), report, style, tool))
    notice(f"{wording.injection(trial, report.scope)}; {wording.execution(trial)}")
    for line in _about_trl(report):
        notice(line)
    for part in report.left_out:
        notice(f"without {', '.join(fold.pattern for fold in part.sites)}: {part.reason}")
    for lack in report.unchecked:
        notice(f"not checked: {lack.what}: {lack.why}")
    if (trial.forward != "unavailable" and not trial.is_sound) or (tool == "trl" and report.trainer is None):
        ctx.exit(1)
    ctx.exit(UNCHECKED if report.unchecked or not trial.is_sound else 0)


def _shorter(
    report: Report, tool: Dialect, lora: Mapping[str, Any], judge: Callable[[Options], Report], options: Options
) -> str | None:
    """The recipe in words of the tool's own, where a trial of what the tool makes of them adapts the same layers."""
    from archlint.plans import PlanError
    from archlint.plans.written import read_back

    assert report.recipe is not None  # the caller looked
    wanted = report.recipe
    try:
        for text in tool.shorthands(lora, _base_model(report), report.trainer):
            tried = judge(dataclasses.replace(options, plan_file=read_back(tool, text), rules=())).plan
            if tried is not None and tried.raised is None and _places(tried) == _places(wanted):
                return text
    except PlanError:
        pass  # which is told where the recipe is written in full
    return None


def _about_trl(report: Report) -> Iterator[str]:
    """What SFTTrainer needs beside the recipe, and what becomes of its loss."""
    from archlint.core.training import Trainer

    if report.trainer is None:
        yield f"TRL's SFTTrainer cannot train this model: archlint check {shlex.quote(report.source)} says why"
    elif report.trainer:
        yield f"TRL's SFTTrainer needs {', '.join(f'{name}={value!r}' for name, value in report.trainer.items())}"
    training = report.training
    if Trainer.SFT in training.bypassing and training.fused is None and training.tail.differs:
        mended = ", ".join(f"{name}={value!r}" for name, value in training.tail.mended_by.items())
        more = f"archlint check {shlex.quote(report.source)} tells more"
        way = f"set {mended} in the text config first" if mended else more
        yield f"TRL's SFTTrainer trains this model towards another loss than its own (ARC701): {way}"


def _places(trial: Trial) -> tuple[frozenset[str], frozenset[str]]:
    return frozenset(trial.adapted), frozenset(trial.saved)


def _written(lora: dict[str, Any], report: Report, style: str, tool: str | None) -> str:
    from archlint.plans import PlanError, dialect

    if tool not in (None, "peft"):
        try:
            return dialect(tool).fragment(lora, _base_model(report), report.trainer)
        except PlanError as error:
            raise click.ClickException(str(error)) from error
    if style == "python":
        from archlint.report.snippet import lora_config

        return lora_config(lora) + "\n"
    return dialect("peft").fragment(lora, _base_model(report))


def _base_model(report: Report) -> str:
    """What PEFT would load the base model by: the repository where there is one, else what was given."""
    model = report.model
    return model.id if model is not None and model.origin in ("hub", "cache", "snapshot") else report.source
