"""``archlint report`` and ``archlint diff``: reports that were written down, rendered and held side by side."""

from __future__ import annotations

import functools
import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from archlint.cli.commands import SectionedCommand
from archlint.cli.options import fail_on_option, format_option, load_catalog, output_option, severity
from archlint.cli.output import check_writable, deliver
from archlint.cli.rendering import FORMATS, render

if TYPE_CHECKING:
    from archlint.core.report import Run

_REPORT = "Report"
_FILE = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)


@click.command(
    cls=SectionedCommand,
    short_help="Render stored reports: a dashboard, a comment, SARIF.",
    epilog="""\
Examples:
  archlint report reports.jsonl --format html --output dashboard.html
  archlint report monday.json friday.json --format html --output trend.html
  archlint report report.json --format markdown     a comment on a pull request
  archlint google/gemma-4 --format json | archlint report - --format sarif

Exit codes:
  0  rendered, whatever is in them; with --fail-on as archlint check
  2  wrong usage, or a file that is no report
""",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("files", nargs=-1, required=True, type=_FILE, metavar="FILES...")
@format_option(_REPORT, FORMATS)
@output_option(_REPORT)
@fail_on_option(_REPORT)
@click.pass_context
def report(ctx: click.Context, files: Sequence[Path], style: str, output: Path | None, fail_on: str) -> None:
    """Render reports of --format json or jsonl; - is standard input.

    With --format html hundreds of them are one page: models beside rules as a heat map, each model with its findings
    and the picture of what is adapted, and what changed where there are several reports on one model.
    """
    from archlint.report import wording

    if output is not None:
        check_writable(output)
    runs = [run for file in files for run in _read(file)]
    ends = ctx.get_parameter_source("fail_on") is click.core.ParameterSource.COMMANDLINE
    whole = joined(runs)
    if style == "html":
        from archlint.report import html

        text = html.render(runs, rules=list(load_catalog(()).rules.values()))
    else:
        written = functools.partial(
            render,
            style=style,
            fail_on=severity(fail_on),
            catalog=load_catalog(()),
            options={},
            output=output,
            ends=ends,
        )
        text = "".join(map(written, _parts(runs, style, output)))
    deliver(text, wording.tally(whole), output)
    ctx.exit(whole.exit_code(severity(fail_on)) if ends else 0)


@click.command(
    cls=SectionedCommand,
    short_help="What came and went between two stored reports.",
    epilog="""\
Examples:
  archlint diff before.json after.json
  archlint diff peft-0.21.jsonl peft-0.22.jsonl --format markdown

Formats for programs that collect findings (sarif, github, gitlab, junit)
hold what is new or worse; html holds both reports and the trend.

Exit codes:
  0  nothing new or worse at or above --fail-on (error)
  1  something is
  2  wrong usage, or a file that is no report
  3  something could not be checked in the later report
""",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("before", type=_FILE, metavar="OLD")
@click.argument("after", type=_FILE, metavar="NEW")
@format_option(_REPORT, FORMATS)
@output_option(_REPORT)
@fail_on_option(_REPORT)
@click.pass_context
def diff(ctx: click.Context, before: Path, after: Path, style: str, output: Path | None, fail_on: str) -> None:
    """Hold two reports of --format json or jsonl side by side: what is new, mended, changed or not known, and the
    recipes.

    Sources are held against each other by their names; two reports on one source each are in any case.
    """
    from archlint.cli.comparing import render_difference
    from archlint.core.comparison import Difference
    from archlint.report.difference import words

    if output is not None:
        check_writable(output)
    difference = Difference.of(joined(_read(before)), joined(_read(after)))
    text = render_difference(
        difference,
        style=style,
        fail_on=severity(fail_on),
        catalog=load_catalog(()),
        options={},
        output=output,
    )
    deliver(text, words.tally(difference), output)
    ctx.exit(difference.exit_code(severity(fail_on)))


def joined(runs: Sequence[Run]) -> Run:
    """All reports as those of one run, which ended when the last one did, in its environment."""
    from archlint.core.report import Run

    *_, last = runs
    return Run(last.environment, tuple(report for run in runs for report in run.reports), last.created)


def _read(file: Path) -> tuple[Run, ...]:
    from archlint.report import stored
    from archlint.report.values import DocumentError

    try:
        return stored.parse(sys.stdin.read()) if str(file) == "-" else stored.read(file)
    except (UnicodeDecodeError, DocumentError) as error:  # a file's is the latter
        raise click.UsageError(f"standard input: {error}" if str(file) == "-" else str(error)) from error


def _parts(runs: Sequence[Run], style: str, output: Path | None) -> Iterator[Run]:
    """What is rendered by itself: what is told once for a run is of one version of the stack.

    Args:
        runs: all of them.
        style: the format.
        output: the file that they go to.

    Raises:
        click.UsageError: there are several of them, and a document has room for one.
    """
    from archlint.report import pictures

    if style == "jsonl":
        yield from runs
        return
    if style not in ("full", "json", "markdown"):  # others do not tell it
        yield joined(runs)
        return
    alike = [list(group) for _, group in itertools.groupby(runs, key=lambda run: run.environment)]
    is_picture = output is not None and output.suffix.lower() in pictures.BY_SUFFIX
    if len(alike) > 1 and (style != "full" or is_picture):
        place = f"--output {output}" if style == "full" else f"--format {style}"
        raise click.UsageError(
            f"the reports are of several versions of the stack, and {place} has one: --format html and jsonl hold all"
        )
    yield from map(joined, alike)
