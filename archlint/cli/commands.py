"""What archlint's commands have that click's do not: a default command, options in sections, short errors."""

from __future__ import annotations

import enum
import functools
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeVar

import click

from archlint.cli.output import emit
from archlint.report.quoting import one_line
from archlint.settings.forms import Form

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

F = TypeVar("F", bound=Callable[..., Any])

_OTHER = "Other"
INTERRUPTED = 130
UNCHECKED = 3


class Setting(enum.Enum):
    """Where in a file of settings an option may stand."""

    NOWHERE = enum.auto()
    OF_ALL = enum.auto()
    OF_SOURCE = enum.auto()
    """There, or in the section of a source."""
    OF_SOURCE_ALONE = enum.auto()


class SectionedOption(click.Option):
    """An option that ``--help`` lists under a heading, and that a file of settings may hold.

    Args:
        section: the heading.
        setting: where in the file.
        form: what its key takes there, if it is not what a flag, a word or several words are.
    """

    def __init__(
        self,
        *args: Any,
        section: str = _OTHER,
        setting: Setting = Setting.NOWHERE,
        form: Form | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(*args, **settings)
        self.section = section
        self.setting = setting
        usual = Form.FLAG if self.is_flag else Form.WORDS if self.multiple else Form.WORD
        self.form = form or usual

    @property
    def key(self) -> str:
        """Its long name, as the key that it is in a file."""
        return max(self.opts, key=len).removeprefix("--")


def option(*names: str, section: str, **settings: Any) -> Callable[[F], F]:
    """:func:`click.option` for a section of ``--help``."""
    return click.option(*names, cls=SectionedOption, section=section, **settings)


def together(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    """One decorator for several, whose options are listed in their order."""
    return lambda function: functools.reduce(lambda inner, decorate: decorate(inner), reversed(decorators), function)


class _HelpAsResult(click.Command):
    """A command whose help is written as results are: a closed or full standard output is met alike."""

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        option = super().get_help_option(ctx)
        if option is not None:
            option.callback = _show_help
        return option


def _show_help(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        emit(ctx.get_help() + "\n")
        ctx.exit()


class SectionedCommand(_HelpAsResult):
    """A command whose help groups its options and ends with ``epilog`` as it is written."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_sections(self.get_params(ctx), ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_verbatim(self.epilog, formatter)


def write_sections(parameters: Iterable[click.Parameter], ctx: click.Context, formatter: click.HelpFormatter) -> None:
    """Write the options among ``parameters``, each section under its heading, in order of first appearance."""
    sections: dict[str, list[tuple[str, str]]] = {}
    for parameter in parameters:
        record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
        if record is not None:
            sections.setdefault(getattr(parameter, "section", _OTHER), []).append(record)
    longest = max(len(name) for records in sections.values() for name, _ in records)
    for title, records in sections.items():
        with formatter.section(title):
            formatter.write_dl([(name.ljust(longest), text) for name, text in records], col_max=longest)


def write_verbatim(text: str | None, formatter: click.HelpFormatter) -> None:
    """Write ``text`` without wrapping it."""
    if text:
        formatter.write(f"\n{text.strip()}\n")


class Deferred(NamedTuple):
    """A command that is imported when it is asked for."""

    module: str
    name: str
    """Of the command in the module."""
    help: str = ""
    """Its line in the help of its group; empty where it is not listed."""


class DeferringGroup(_HelpAsResult, click.Group):
    """A group that lists its commands without importing them."""

    def __init__(self, *args: Any, deferred: Mapping[str, Deferred], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.deferred = deferred

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.deferred)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self.deferred and cmd_name not in self.commands:
            where = self.deferred[cmd_name]
            self.add_command(getattr(import_module(where.module), where.name), cmd_name)
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, where.help) for name, where in self.deferred.items() if where.help])


class DefaultGroup(DeferringGroup):
    """A group whose ``default`` command may be left out, as long as its first argument is no command's name."""

    def __init__(self, *args: Any, default: str, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.default = default

    def default_command(self, ctx: click.Context) -> click.Command:
        """The command that may be left out."""
        command = self.get_command(ctx, self.default)
        assert command is not None  # it is one of the commands
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self._own_words(ctx):
            args = [self.default, *args]
        return super().parse_args(ctx, args)

    def _own_words(self, ctx: click.Context) -> set[str]:
        flags = (name for parameter in self.get_params(ctx) for name in parameter.opts)
        return {*self.list_commands(ctx), *flags}

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        completions = super().shell_complete(ctx, incomplete)
        command = self.default_command(ctx)
        with command.make_context(self.default, [], parent=ctx, resilient_parsing=True) as inner:
            known = {completion.value for completion in completions}
            completions += [item for item in command.shell_complete(inner, incomplete) if item.value not in known]
        return completions

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_commands(ctx, formatter)
        own = self.get_params(ctx)
        flags = {name for parameter in own for name in parameter.opts}
        borrowed = [p for p in self.default_command(ctx).get_params(ctx) if flags.isdisjoint(p.opts)]
        write_sections([*borrowed, *own], ctx, formatter)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, f"[{self.default}] SOURCE... [OPTIONS]")
        formatter.write_usage(ctx.command_path, "COMMAND ...", prefix="       ")

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_verbatim(self.default_command(ctx).epilog, formatter)


class App(DefaultGroup):
    """The whole program: errors of usage on one line, an interrupt without a traceback."""

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **settings: Any
    ) -> NoReturn:
        settings["standalone_mode"] = False
        try:
            code = super().main(args, prog_name, **settings)
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            code = error.exit_code
        except click.ClickException as error:
            report_usage(error)
            code = error.exit_code
        except click.Abort:
            click.echo("interrupted", err=True)
            code = INTERRUPTED
        except Exception:
            import traceback

            traceback.print_exc()
            click.echo("archlint itself failed: this is a bug, please report it with the lines above", err=True)
            code = UNCHECKED
        sys.exit(code if isinstance(code, int) else 0)


def report_usage(error: click.ClickException) -> None:
    """Print what is wrong with a call on one line, and where help is on another."""
    click.echo(f"error: {one_line(error.format_message())}", err=True)
    if isinstance(error, click.UsageError) and error.ctx is not None:
        click.echo(f"hint: {error.ctx.command_path} --help", err=True)
