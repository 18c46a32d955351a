"""``archlint plans``: the check of one plan's file after the other, for pre-commit, which names those that changed."""

from __future__ import annotations

from collections.abc import Sequence

import click

from archlint.cli.check import check
from archlint.cli.commands import report_usage

_FINDINGS = 1
_ONE_REPORT = ("output", "also")


@click.command(hidden=True, context_settings={"ignore_unknown_options": True, "help_option_names": ["-h", "--help"]})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def plans(ctx: click.Context, arguments: Sequence[str]) -> None:
    """Check plan after plan: archlint check --adapter-config FILE, for each file among ARGUMENTS.

    ARGUMENTS are options of archlint check, and behind them the files. The exit code is 1 where any file has
    findings, else the greatest of all.
    """
    files = _files(arguments)
    options = arguments[: len(arguments) - len(files)]
    codes = [_code([*options, "--adapter-config", file]) for file in files]
    ctx.exit(_FINDINGS if _FINDINGS in codes else max(codes, default=0))


def _files(arguments: Sequence[str]) -> list[str]:
    """What ``arguments`` has beside options of ``archlint check``.

    Raises:
        click.UsageError: there is no such option, one stands behind a file, or a report would take another's place.
    """
    with click.Context(check, info_name="archlint check") as ctx:
        parsed, _, _ = check.make_parser(ctx).parse_args(list(arguments))
        found = parsed.get("sources")
        files = list(found) if isinstance(found, (list, tuple)) else []
        for name in _ONE_REPORT:
            if parsed.get(name):
                raise click.UsageError(f"--{name} is for one report, and each file has its own.", ctx)
        if list(arguments[len(arguments) - len(files) :]) != files:
            raise click.UsageError("options stand before the files.", ctx)
    return files


def _code(arguments: list[str]) -> int:
    """What one check ends with; what is wrong with a file is said, and is no reason to leave out the others."""
    try:
        code = check.main(arguments, "archlint check", standalone_mode=False)
    except click.ClickException as error:
        report_usage(error)
        return error.exit_code
    return code if isinstance(code, int) else 0
