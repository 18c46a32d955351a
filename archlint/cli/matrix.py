"""``archlint matrix``: the same check under several versions of the stack."""

from __future__ import annotations

import contextlib
import copy
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from archlint.cli.check import check
from archlint.cli.commands import SectionedCommand, SectionedOption, option
from archlint.cli.options import fail_on_option, format_option, load_catalog, output_option, severity
from archlint.cli.output import check_writable, deliver, is_terminal, wants_color, width
from archlint.cli.progress import progress
from archlint.cli.questions import Asking
from archlint.cli.settings import Choices

if TYPE_CHECKING:
    from types import FrameType

    from archlint.core.finding import Severity
    from archlint.matrix import Matrix, Stack

F = TypeVar("F", bound=Callable[..., Any])

_STACKS, _REPORT = "Stacks", "Report"
_ENDS = ("SIGTERM", "SIGHUP")  # the latter where a terminal is closed; Windows has none
_OF_FILE = {"fix", "diff", "unsafe_fixes"}
"""What ``check`` does to a file, or shows of it."""


def _borrowed() -> Iterator[SectionedOption]:
    """Options of ``check`` that say what is checked, and how: they are given on as they were given."""
    for parameter in check.params:
        if isinstance(parameter, SectionedOption) and parameter.section != _REPORT and parameter.name not in _OF_FILE:
            borrowed = copy.copy(parameter)
            borrowed.callback = _as_given(parameter.callback)
            yield borrowed


def _as_given(callback: Callable[..., Any] | None) -> Callable[..., Any]:
    """``callback`` for what it says of a wrong value alone."""

    def keep(ctx: click.Context, parameter: click.Parameter, value: Any) -> Any:
        if callback is not None:
            callback(ctx, parameter, value)
        return value

    return keep


def _check_options(function: F) -> F:
    """Those options, for a command."""
    known: list[click.Parameter] = getattr(function, "__click_params__", [])  # the last one first
    vars(function)["__click_params__"] = [*known, *reversed(list(_borrowed()))]
    return function


def _stacks(_: click.Context, __: click.Parameter, given: Sequence[str]) -> list[Stack]:
    from archlint.matrix import StackError, stack

    try:
        stacks = [stack(text) for text in given]
    except StackError as error:
        raise click.BadParameter(f"{error}.") from error
    labels = [one.label for one in stacks]
    for label in labels:
        if labels.count(label) > 1:
            raise click.BadParameter(f"{label} is given twice.")
    return stacks


@click.command(
    cls=SectionedCommand,
    short_help="Check with several versions of the stack.",
    epilog="""\
Examples:
  archlint matrix google/gemma-4 --with peft==0.18.0 --with peft==0.19.1
  archlint matrix type:qwen3 --with installed --with transformers==5.10.4
  archlint matrix ./my-model --with transformers==5.3.0,peft==0.18.1 \\
                             --with 'transformers>=5.20' --format markdown

Exit codes:
  0  nothing at or above --fail-on (error), with any of the stacks
  1  findings, with one stack at least
  2  wrong usage or settings, or a report that cannot be written
  3  something could not be checked, such as a version that cannot be installed
""",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("sources", nargs=-1, metavar="SOURCE...")
@option(
    "--with",
    "stacks",
    multiple=True,
    required=True,
    callback=_stacks,
    metavar="STACK",
    help="peft==0.19.1,trl==1.7, or installed. Once for each.",
    section=_STACKS,
)
@_check_options
@format_option(_REPORT, ("full", "json", "markdown"))
@output_option(_REPORT)
@fail_on_option(_REPORT)
@click.pass_context
def matrix(
    ctx: click.Context,
    /,
    sources: Sequence[str],
    stacks: Sequence[Stack],
    style: str,
    output: Path | None,
    **_: Any,
) -> None:
    """Check each SOURCE with several versions of transformers, PEFT and the rest, and tell what differs.

    Each STACK gets a virtual environment of its own, made by uv, or by pip where there is no uv. It has what is
    installed here, except for what STACK asks for; requirements are as pip takes them, with commas between. It is
    kept in the user's cache, for the next time.
    """
    from archlint.matrix import NotInstalledError, UsageMistakeError, compare, try_stacks

    if output is not None:
        check_writable(output)
    arguments = [*_given(ctx), "--", *sources]
    sources, fail_on = _asked(ctx, arguments)
    try:
        with _unwinding(), progress() as tell:
            outcomes = list(try_stacks(stacks, arguments, tell))
    except (UsageMistakeError, NotInstalledError) as error:
        raise click.UsageError(str(error)) from error
    compared = compare(outcomes, fail_on, sources)
    text = _rendered(compared, style, to_file=output is not None)
    deliver(text, f"{len(stacks)} stacks", output)
    ctx.exit(compared.exit_code)


def _asked(ctx: click.Context, arguments: list[str]) -> tuple[Sequence[str], Severity | None]:
    """Sources, and the mildest severity to fail on, as ``check`` takes them from arguments and settings.

    Raises:
        click.UsageError: something is wrong, which is found out before anything is built.
    """
    severe = [f"--fail-on={ctx.params['fail_on']}"] if _is_said(ctx, "fail_on") else []
    with check.make_context(ctx.info_name, [*severe, *arguments], parent=ctx.parent) as inner:
        choices = Choices(inner)
        values = choices.of_all().values
        asking = Asking(inner, choices, load_catalog(choices.rule_files(inner.params["sources"] or choices.sources)))
        sources = inner.params["sources"] or asking.sources()
        for source in sources:
            asking.question(source)
        return sources, severity(values["fail_on"])


def _is_said(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE


def _given(ctx: click.Context) -> Iterator[str]:
    """The borrowed options that are on the command line, as ``check`` takes them."""
    for parameter in _borrowed():
        if parameter.name is None or not _is_said(ctx, parameter.name):
            continue
        value, name = ctx.params[parameter.name], parameter.opts[-1]
        if parameter.is_flag:
            yield name
        else:
            yield from (f"{name}={one}" for one in (value if parameter.multiple else [value]))


@contextlib.contextmanager
def _unwinding() -> Iterator[None]:
    """Leave the block in order when the process is told to end: what was started there ends as well."""

    def leave(number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)

    known = (getattr(signal, name) for name in _ENDS if hasattr(signal, name))
    heeded = [number for number in known if signal.getsignal(number) not in (signal.SIG_IGN, None)]  # as below nohup
    before = {number: signal.signal(number, leave) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _rendered(compared: Matrix, style: str, *, to_file: bool) -> str:
    if style == "json":
        from archlint.matrix import json_document

        return json_document.render(compared, exit_code=compared.exit_code)
    if style == "markdown":
        from archlint.matrix import markdown

        return markdown.render(compared)
    from archlint.matrix import full
    from archlint.report.layout import draw

    screen = is_terminal() and not to_file
    drawn = full.render(compared, exit_code=compared.exit_code, width=width())
    return draw(drawn, width=width(), terminal=screen, color=screen and wants_color())
