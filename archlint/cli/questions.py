"""What is asked of each source: by the command line, and by the settings that hold for it."""

from __future__ import annotations

import enum
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from archlint.cli.commands import SectionedOption, Setting
from archlint.cli.options import PLAN, TRAINERS, WHAT, kept, scope, select_rules, source_settings, split
from archlint.cli.plans import plan, plan_file
from archlint.cli.settings import Choices, Chosen
from archlint.cli.trainers import OF_PLAN

if TYPE_CHECKING:
    from archlint.core.catalog import Catalog, Selection
    from archlint.core.training import Trainer
    from archlint.engine import Options
    from archlint.plans import PlanFile

_CODES = ("select", "ignore", "extend_select")


@dataclass(frozen=True)
class Question:
    """What is asked of one source."""

    options: Options
    asked: str
    """The options that decide what there is to find, as they were given."""


class Asking:
    """Turns what a call chooses into questions.

    Raises:
        click.UsageError: the settings name a rule that there is not.
    """

    def __init__(self, ctx: click.Context, choices: Choices, catalog: Catalog) -> None:
        self._choices = choices
        self._catalog = catalog
        options = (param for param in ctx.command.params if isinstance(param, SectionedOption))
        self._asking = [
            param for param in options if param.section in (WHAT, PLAN, TRAINERS) and param.setting is Setting.OF_SOURCE
        ]
        self._file = functools.cache(plan_file)
        self._check_codes()

    def sources(self) -> Sequence[str]:
        """Those that are checked where none is given, as the settings or a plan's file name them.

        One that ``--adapter-config`` names wins; one of the settings names the model where these name no other.

        Raises:
            click.UsageError: there is none.
        """
        said = self._plan_file(self._choices.command_line)
        if said is not None and said.base_model is not None:
            return (said.base_model,)
        if self._choices.sources:
            return self._choices.sources
        file = self._plan_file(self._choices.of_all())
        if file is None:
            raise click.UsageError("no SOURCE is given.")
        if file.base_model is None:
            raise click.UsageError(f"no SOURCE is given, and {file.path} names no model.")
        return (file.base_model,)

    def question(self, source: str) -> Question:
        """What is asked of ``source``.

        Raises:
            click.UsageError: its options do not go together.
        """
        chosen = self._choices.of(source)
        values = chosen.values
        _check_trial(values)
        rules = select_rules(self._catalog, *(values[name] for name in _CODES))
        arguments = dict(values["trainer_args"])
        saved = arguments.pop(OF_PLAN, None)
        from archlint.engine import Options  # which takes longest, and by now all is right with the codes

        options = Options(
            rules=rules,
            ignored=self._ignored(chosen, rules),
            catalog=self._catalog,
            plan=plan(values, saved),
            plan_file=self._plan_file(chosen),
            trainers=values["trainers"],
            trainer_arguments=arguments,
            trial_train=values["trial_train"],
            scope=scope(values["scope"]),
            prove=not values["no_prove"],
            source=source_settings(values),
            store=kept(values),
        )
        return Question(options, self._asked(chosen))

    def _plan_file(self, chosen: Chosen) -> PlanFile | None:
        return self._file(chosen.values.get("adapter_config"), chosen.spelt.get("adapter_config", ""))

    def _asked(self, chosen: Chosen) -> str:
        return " ".join(
            f"{param.opts[-1]} {_written(chosen.values[param.name])}"
            for param in self._asking
            if param.name is not None and param.name in chosen.spelt
        )

    def _check_codes(self) -> None:
        from archlint.core.catalog import UnknownRuleError

        for table in self._choices.tables:
            for name in _CODES:
                try:
                    self._catalog.codes(table.values.get(name))
                except UnknownRuleError as error:
                    raise click.UsageError(f"{table.spelt[name]}: {error}") from error

    def _ignored(self, chosen: Chosen, rules: Selection) -> Mapping[str, str]:
        """The codes of rules that run but for the settings, and what the settings say of that."""
        if chosen.reasons is None:
            return {}
        asked = self._catalog.codes(chosen.values["select"], (), chosen.values["extend_select"])
        reasons = dict(self._reasons(chosen.reasons))
        by = str(self._choices.path)
        return {code: f"{by}: {reasons[code]}" if code in reasons else by for code in asked if code not in rules.known}

    def _reasons(self, reasons: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """The codes of rules, and why each is ignored."""
        for given, reason in reasons.items():
            for code in split(given):
                yield from ((known, reason) for known in self._catalog.codes([code]))


def _written(value: Any) -> Any:
    """``value`` with words in place of what they stand for."""
    if isinstance(value, (list, tuple)):
        return type(value)(map(_written, value))
    return value.value if isinstance(value, enum.Enum) else value


def _check_trial(values: Mapping[str, Any]) -> None:
    if not values["trial_train"]:
        return
    from archlint.core.training import Trainer

    trainers: Sequence[Trainer] | None = values["trainers"]
    if values["no_prove"]:
        raise click.UsageError("--trial-train needs what --no-prove leaves out.")
    if trainers is not None and Trainer.SFT not in trainers:
        raise click.UsageError(f"--trial-train tries {Trainer.SFT.label} alone, and --trainer leaves trl-sft out.")
