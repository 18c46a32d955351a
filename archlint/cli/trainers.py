"""``--trainer`` and ``--trainer-args``: whom a model is checked for, and what the trainer is given."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from archlint.cli.commands import Setting, option, together
from archlint.settings.forms import Form

if TYPE_CHECKING:
    from archlint.core.training import Trainer

F = TypeVar("F", bound=Callable[..., Any])

_SEVERAL = re.compile(r",\s*[a-z_]+\s*=")
"""A second argument behind the first one's value."""
_QUOTES = ("{", "[", '"')
"""How JSON begins that may hold a comma."""
OF_PLAN = "modules_to_save"
"""The one of these arguments that is PEFT's."""


def trainer_options(section: str = "Trainers") -> Callable[[F], F]:
    """``--trainer``, ``--trainer-args``, ``--trial-train``."""
    return together(
        option(
            "--trainer",
            "trainers",
            multiple=True,
            callback=_trainers,
            metavar="TRAINER",
            help="trl-sft, trl-dpo, …, transformers or none.",
            section=section,
            setting=Setting.OF_SOURCE,
        ),
        option(
            "--trainer-args",
            multiple=True,
            callback=_arguments,
            metavar="K=V",
            help="gradient_checkpointing=false, …",
            section=section,
            setting=Setting.OF_SOURCE,
            form=Form.ARGUMENTS,
        ),
        option(
            "--trial-train",
            is_flag=True,
            help="Train a small copy with TRL's SFTTrainer.",
            section=section,
            setting=Setting.OF_SOURCE,
        ),
    )


def _trainers(_: click.Context, __: click.Parameter, given: Sequence[str]) -> tuple[Trainer, ...] | None:
    """Trainers by name; ``None`` where none is given, and nobody where that is what is asked for."""
    from archlint.core.trainer_names import trainers_named

    try:
        return trainers_named(given) if given else None
    except ValueError as error:
        raise click.BadParameter(_sentence(error)) from error


def _arguments(_: click.Context, __: click.Parameter, given: Sequence[str]) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    for pair in given:
        name, equals, text = (part.strip() for part in pair.partition("="))
        if not equals or not name:
            raise click.BadParameter(f"{pair!r} is not of the form name=value.")
        if _SEVERAL.search(text) and not text.startswith(_QUOTES):
            raise click.BadParameter(f"{pair!r} holds several: give --trainer-args once for each.")
        arguments[name] = _checked(name, text)
    return arguments


def _checked(name: str, text: str) -> Any:
    from archlint.plans import PlanError, trainer_argument

    if name == OF_PLAN:
        return [part.strip() for part in text.split(",")]
    try:
        return trainer_argument(name, text)
    except PlanError as error:
        raise click.BadParameter(_sentence(error)) from error


def _sentence(error: Exception) -> str:
    text = str(error)
    return text if text.endswith("?") else f"{text}."
