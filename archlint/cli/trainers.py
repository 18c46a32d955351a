"""``--trainer`` and ``--trainer-args``: whom a model is checked for, and what the trainer is given."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any, TypeVar

import click

from archlint.cli.commands import option

if TYPE_CHECKING:
    from archlint.core.training import Trainer

F = TypeVar("F", bound=Callable[..., Any])

_NONE = "none"
_NAMES = ("trl-sft", "trl-dpo", "trl-grpo", "trl-kto", "trl-reward", "transformers", _NONE)
OF_PLAN = "modules_to_save"
"""The one of these arguments that is PEFT's."""


def trainer_options(section: str = "Trainers") -> Callable[[F], F]:
    """``--trainer``, ``--trainer-args``, ``--trial-train``."""
    decorators = (
        option(
            "--trainer",
            "trainers",
            multiple=True,
            callback=_trainers,
            metavar="TRAINER",
            help="trl-sft, trl-dpo, …, transformers or none.",
            section=section,
        ),
        option(
            "--trainer-args",
            multiple=True,
            callback=_arguments,
            metavar="K=V",
            help="gradient_checkpointing=false, …",
            section=section,
        ),
        option("--trial-train", is_flag=True, help="Train a small copy with SFTTrainer.", section=section),
    )
    return lambda function: reduce(lambda inner, decorate: decorate(inner), reversed(decorators), function)


def _trainers(_: click.Context, __: click.Parameter, given: Sequence[str]) -> tuple[Trainer, ...] | None:
    """Trainers by name; ``None`` where none is given, and nobody where that is what is asked for."""
    names = [name.strip() for value in given for name in value.split(",")]
    for name in names:
        if name not in _NAMES:
            near = difflib.get_close_matches(name, _NAMES, 1)
            meant = f" Did you mean {near[0]}?" if near else ""
            raise click.BadParameter(f"{name!r} is none of {', '.join(_NAMES)}.{meant}")
    if _NONE in names and len(names) > 1:
        raise click.BadParameter("none stands alone.")
    from archlint.core.training import Trainer

    trainers = tuple(dict.fromkeys(Trainer(name) for name in names if name != _NONE))
    if Trainer.REWARD in trainers and len(trainers) > 1:
        raise click.BadParameter(f"{Trainer.REWARD.value} trains a classifier, which others do not: it stands alone.")
    return trainers if names else None


def _arguments(_: click.Context, __: click.Parameter, given: Sequence[str]) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    for pair in given:
        name, equals, text = (part.strip() for part in pair.partition("="))
        if not equals or not name:
            raise click.BadParameter(f"{pair!r} is not of the form name=value.")
        arguments[name] = _checked(name, text)
    return arguments


def _checked(name: str, text: str) -> Any:
    from archlint.plans import PlanError, trainer_argument

    if name == OF_PLAN:
        return [part.strip() for part in text.split(",")]
    try:
        return trainer_argument(name, text)
    except PlanError as error:
        raise click.BadParameter(f"{error}.") from error
