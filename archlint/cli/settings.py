"""What the options of a command come to: by the command line, else by a file of settings, else by their defaults."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import click

from archlint.cli.commands import DefaultGroup, SectionedOption, Setting
from archlint.settings.file import Key, Settings, SettingsError, Table, Value, find, read
from archlint.settings.forms import Form

_SOURCES = "sources"


@dataclass(frozen=True)
class Chosen:
    """Values of options, by the parameter's name."""

    values: Mapping[str, Any]
    spelt: Mapping[str, str]
    """What says a value that is no default: an option, or a file and its key."""
    reasons: Mapping[str, str] | None = None
    """Why rules are ignored, by the codes that the settings ignore; ``None`` where these do not decide that."""

    def overlaid(self, other: Chosen) -> Chosen:
        """With what ``other`` says in place of what it says itself."""
        reasons = other.reasons if "ignore" in other.values else self.reasons
        return Chosen({**self.values, **other.values}, {**self.spelt, **other.spelt}, reasons)


class Choices:
    """What the command line of one call and the settings that hold for it choose, for each source.

    Args:
        ctx: of the command.
        without: parameters that the settings do not decide in this call.

    Raises:
        click.UsageError: the settings cannot be used.
    """

    def __init__(self, ctx: click.Context, without: Collection[str] = ()) -> None:
        self._ctx = ctx
        options = [param for param in ctx.command.params if isinstance(param, SectionedOption)]
        self._options = {
            param.key: param for param in options if param.setting is not Setting.NOWHERE and param.name not in without
        }
        given = {param.name: f"--{param.key}" for param in options if param.name is not None and _is_given(ctx, param)}
        self._defaults = Chosen(ctx.params, {})
        self.command_line = Chosen({name: ctx.params[name] for name in given}, given)
        self._settings = _settings(ctx)
        if self._settings is not None:
            self._common = self._taken(self._settings, self._settings.common)
            self._sections = {
                pattern: self._taken(self._settings, table) for pattern, table in self._settings.sections.items()
            }

    @property
    def path(self) -> Path | None:
        """The file of settings."""
        return None if self._settings is None else self._settings.path

    @property
    def tables(self) -> tuple[Chosen, ...]:
        """What each table of the settings says."""
        return () if self._settings is None else (self._common, *self._sections.values())

    @property
    def sources(self) -> tuple[str, ...]:
        """Those that the settings name."""
        if self._settings is None:
            return ()
        named = self._settings.common.values.get(_SOURCES, ())
        assert isinstance(named, tuple)  # as its form is
        return tuple(map(self._settings.source, named))

    def of_all(self) -> Chosen:
        """What holds for sources without a section of their own, and for the call as a whole."""
        return self._joined(self.tables[:1])

    def rule_files(self, sources: Iterable[str]) -> Sequence[Path]:
        """The files of rules to load in a call that checks ``sources``.

        Settings that were found in what is checked are not there to have code run, or checking it would do harm.

        Raises:
            click.UsageError: such settings ask for it.
        """
        chosen = self.of_all()
        files: Sequence[Path] = chosen.values["load"]
        if not files or self._settings is None or "load" in self.command_line.values or self._ctx.params["config"]:
            return files
        for source in sources:
            if _holds(source, self._settings.path):
                raise click.UsageError(
                    f"{chosen.spelt['load']} has code run, and the file is part of {source}, which is checked: "
                    f"--config {self._settings.path} says that it may, --isolated leaves it out."
                )
        return files

    def of(self, source: str) -> Chosen:
        """What holds for ``source``."""
        if self._settings is None:
            return self._joined(())
        sections = (self._sections[pattern] for pattern in self._settings.patterns(source))
        return self._joined((self._common, *sections))

    def _joined(self, tables: Iterable[Chosen]) -> Chosen:
        return reduce(Chosen.overlaid, (*tables, self.command_line), self._defaults)

    def _taken(self, settings: Settings, table: Table) -> Chosen:
        """``table`` as values of this command's parameters."""
        values: dict[str, Any] = {}
        spelt: dict[str, str] = {}
        for key, value in table.values.items():
            param = self._options.get(key)
            if param is None or param.name is None:
                continue
            spelt[param.name] = table.spelt[key]
            try:
                values[param.name] = self._converted(settings, param, value)
            except click.BadParameter as error:
                raise click.UsageError(f"{table.spelt[key]}: {error.message}") from error
        return Chosen(values, spelt, table.reasons)

    def _converted(self, settings: Settings, param: SectionedOption, value: Value) -> Any:
        if isinstance(param.type, click.Path):
            if isinstance(value, str):
                value = settings.from_here(value)
            elif isinstance(value, tuple):
                value = tuple(map(settings.from_here, value))
        return param.process_value(self._ctx, value)


def _holds(source: str, file: Path) -> bool:
    """Whether ``source`` is a folder, or a file in one, that ``file`` lies in."""
    try:
        path = Path(source).expanduser().resolve()
        folder = path if path.is_dir() else path.parent
        return path.exists() and file.resolve().is_relative_to(folder)
    except (OSError, ValueError, RuntimeError):  # a name that no path can have
        return False


def _is_given(ctx: click.Context, param: click.Parameter) -> bool:
    return param.name is not None and ctx.get_parameter_source(param.name) is click.core.ParameterSource.COMMANDLINE


def _settings(ctx: click.Context) -> Settings | None:
    """Those that hold for a call."""
    file, isolated = ctx.params["config"], ctx.params["isolated"]
    if file is not None and isolated:
        raise click.UsageError("--isolated takes settings from no file, and --config names one.")
    if isolated:
        return None
    try:
        path = file or _nearest()
        return None if path is None else read(path, *_keys(ctx))
    except SettingsError as error:
        raise click.UsageError(str(error)) from error


def _nearest() -> Path | None:
    try:
        found = find(Path.cwd())
    except FileNotFoundError:  # the working directory is gone
        return None
    return None if found is None else Path(os.path.relpath(found))


def _keys(ctx: click.Context) -> tuple[dict[str, Key], set[str]]:
    """The settings that there are, whichever command reads them, and the options that are none."""
    group = ctx.find_root().command
    command = group.default_command(ctx) if isinstance(group, DefaultGroup) else ctx.command
    options = [param for param in command.params if isinstance(param, SectionedOption)]
    settable = [one for one in options if one.setting is not Setting.NOWHERE]
    keys = {
        one.key: Key(
            one.form,
            of_all=one.setting is not Setting.OF_SOURCE_ALONE,
            of_source=one.setting is not Setting.OF_ALL,
        )
        for one in settable
    }
    return {_SOURCES: Key(Form.WORDS, of_source=False), **keys}, {one.key for one in options} - keys.keys()
