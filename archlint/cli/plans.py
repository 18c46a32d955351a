"""The options that say which plan is checked, and what they mean to the engine."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from archlint.cli.commands import Setting, option, together
from archlint.cli.trainers import OF_PLAN

if TYPE_CHECKING:
    from archlint.core.trial import Plan
    from archlint.plans import PlanFile

F = TypeVar("F", bound=Callable[..., Any])

_ARGUMENTS = ("target_modules", "target_parameters", "exclude_modules")


def _targets(_: click.Context, param: click.Parameter, values: Sequence[str]) -> str | Sequence[str]:
    if not values:
        return values
    from archlint.plans import PlanError, names, targets

    try:
        return names(values) if param.name == "target_parameters" else targets(values)
    except PlanError as error:
        raise click.BadParameter(f"{error}.") from error


def plan_options(section: str) -> Callable[[F], F]:
    """``--target-modules`` and its like, and ``--adapter-config``."""
    here = functools.partial(option, section=section, setting=Setting.OF_SOURCE)
    several = functools.partial(here, multiple=True, callback=_targets)
    return together(
        several("--target-modules", metavar="TARGETS", help="Names with commas, a regex, or all-linear."),
        several("--target-parameters", metavar="NAMES", help="Parameters, such as those of fused experts."),
        several("--exclude-modules", metavar="TARGETS", help="What to leave out: names or a regex."),
        here(
            "--adapter-config",
            type=click.Path(exists=True, path_type=Path),
            metavar="FILE",
            help="A file of PEFT or a trainer (options above win).",
        ),
    )


def plan(values: Mapping[str, Any], saved: Sequence[str] | None) -> Plan | None:
    """The plan that options say; ``None`` where none does.

    Args:
        values: of the options.
        saved: modules that are trained in full.

    Raises:
        click.UsageError: these are all there is, without a file that they are to go into.
    """
    from archlint.core.trial import USER, Plan

    arguments = {name: values[name] for name in _ARGUMENTS if values[name]}
    if saved is not None:
        if not arguments and values["adapter_config"] is None:
            raise click.UsageError(f"--trainer-args {OF_PLAN} is part of a plan: give --target-modules as well.")
        arguments[OF_PLAN] = saved
    return Plan(USER, arguments) if arguments else None


def plan_file(path: Path | None, spelt: str) -> PlanFile | None:
    """The file of ``--adapter-config``.

    Args:
        path: of the file.
        spelt: what names it.

    Raises:
        click.UsageError: it holds no plan.
    """
    if path is None:
        return None
    from archlint.plans import PlanError, read_plan_file

    try:
        return read_plan_file(path)
    except PlanError as error:
        raise click.UsageError(f"{spelt} {error}") from error
