"""``--fix`` and ``--diff``: the file that a plan comes from, mended."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from archlint.cli.commands import option, together
from archlint.cli.output import emit, notice, overwrite
from archlint.cli.trainers import OF_PLAN

if TYPE_CHECKING:
    from archlint.core.finding import Remedy
    from archlint.core.report import Report
    from archlint.engine import Options
    from archlint.fixing import Fixed

F = TypeVar("F", bound=Callable[..., Any])


def fix_options(section: str) -> Callable[[F], F]:
    """``--fix``, ``--diff``, ``--unsafe-fixes``."""
    return together(
        option("--fix", is_flag=True, help="Mend that file: exact, proven fixes only.", section=section),
        option("--diff", is_flag=True, help="Show what --fix would change: 1 if anything.", section=section),
        option("--unsafe-fixes", is_flag=True, help="Take lossy and unproven fixes too.", section=section),
    )


def check_fixable(sources: Sequence[str], options: Options) -> None:
    """Find out whether there is one file to mend, that all of the plan is in.

    Raises:
        click.UsageError: there is not.
    """
    if options.plan_file is None:
        raise click.UsageError("--fix and --diff mend the file of --adapter-config, and none is given.")
    if len(sources) > 1:
        raise click.UsageError("--fix and --diff mend a file for one SOURCE, and several are given.")
    if options.plan is not None:
        names = ", ".join(name if name == OF_PLAN else f"--{name.replace('_', '-')}" for name in options.plan.lora)
        raise click.UsageError(f"--fix and --diff mend what is in the file, and {names} is not.")


def check_undirected(ctx: click.Context) -> None:
    """Find out whether the command line asks ``--diff`` for something else than a diff.

    Raises:
        click.UsageError: it does.
    """
    for name in ("format", "output", "also", "baseline", "write-baseline", "against"):
        parameter = "style" if name == "format" else name.replace("-", "_")
        if ctx.get_parameter_source(parameter) is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--diff prints a diff, and takes no --{name}.")


def show_diff(source: str, options: Options, unsafe: bool) -> tuple[Report, bool]:
    """Print what :func:`fixed` would change; gives what is then said of the source, and whether that is anything."""
    result = _result(source, options, unsafe)
    emit(result.before.diff(result.after))
    _tell(result, "would be fixed")
    return result.report, bool(result.done)


def fixed(source: str, options: Options, unsafe: bool) -> tuple[Report, Options]:
    """Mend the file; gives what is then said of the source, and the options with the file as it is then."""
    import dataclasses

    result = _result(source, options, unsafe)
    if result.done:
        overwrite(result.after.path, result.before.text, result.after.text)
    _tell(result, "fixed")
    return result.report, dataclasses.replace(options, plan_file=result.after)


def _result(source: str, options: Options, unsafe: bool) -> Fixed:
    import dataclasses

    from archlint.cli.progress import progress
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
    text = remedy.text.removesuffix(": the recipe below").removeprefix("or ")
    return text.replace("the recipe below", "archlint's recipe")
