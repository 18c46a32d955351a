"""A run as text, in the format that was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from archlint.cli.output import is_terminal, wants_color, width

if TYPE_CHECKING:
    from rich.console import RenderableType

    from archlint.core.catalog import Catalog
    from archlint.core.finding import Remedy, Severity
    from archlint.core.report import Report, Run
    from archlint.engine import Options
    from archlint.report.sarif import PlanText

FORMATS = ("full", "concise", "json", "jsonl", "sarif", "github", "gitlab", "junit", "markdown", "html")
STREAMS = ("concise", "jsonl")
"""Those in which a run is its reports, one behind the other."""


def render(
    run: Run,
    *,
    style: str,
    fail_on: Severity | None,
    catalog: Catalog,
    options: Mapping[str, Options],
    output: Path | None,
    ends: bool = True,
) -> str:
    """``run`` in one of :data:`FORMATS`.

    Args:
        run: what was found.
        style: the format.
        fail_on: the mildest severity that it fails on; ``None`` where it never does.
        catalog: all rules.
        options: how each source was checked.
        output: the file that it goes to; ``None`` for standard output.
        ends: whether the command ends with the exit code of the run.
    """
    from archlint.cli.checkout import checkout
    from archlint.cli.here import named_from_here

    if style == "json":
        from archlint.report import json_document

        return json_document.render(run)
    if style == "jsonl":
        from archlint.report import json_lines

        return json_lines.render(run)
    if style == "concise":
        from archlint.report import concise

        return concise.render(named_from_here(run))
    if style == "markdown":
        from archlint.report import markdown

        return markdown.render(named_from_here(run))
    if style == "full":
        from archlint.report import full

        title = " ".join(report.source for report in run.reports)
        content = full.render(named_from_here(run), exit_code=run.exit_code(fail_on) if ends else None)
        return drawn(content, title, output)
    if style == "html":
        from archlint.report import html

        return html.render([run], rules=list(catalog.rules.values()))
    files = checkout(options)
    if style == "github":
        from archlint.report import github

        return github.render(run, checkout=files)
    if style == "gitlab":
        from archlint.report import gitlab

        return gitlab.render(run, checkout=files)
    if style == "junit":
        from archlint.report import junit

        every = list(catalog.rules.values())  # where it is not known which ran
        rules = {report.source: every for report in run.reports} | {one: how.rules for one, how in options.items()}
        return junit.render(run, rules=rules, fail_on=fail_on, checkout=files)
    from archlint.report import sarif

    texts = {source: _plan_text(one) for source, one in options.items()}
    plans = {source: text for source, text in texts.items() if text is not None}
    return sarif.render(run, rules=list(catalog.rules.values()), checkout=files, plans=plans)


def drawn(content: RenderableType, title: str, output: Path | None) -> str:
    """What people read; with its colours on a terminal, and where the file is to be a picture or a page."""
    from archlint.report import pictures
    from archlint.report.layout import draw
    from archlint.report.quoting import clip

    picture = pictures.BY_SUFFIX.get(output.suffix.lower()) if output is not None else None
    if picture is not None:
        return picture(content, title=clip(f"archlint {title}", 80))
    screen = is_terminal() and output is None
    return draw(content, width=width(), terminal=screen, color=screen and wants_color())


def _plan_text(options: Options) -> PlanText | None:
    """The file of a plan, and how it is mended: where all of the plan is in it, but for what an option says."""
    from archlint.plans import PlanError
    from archlint.report.sarif import PlanText

    file = options.plan_file
    if file is None:
        return None

    def text_with(report: Report, remedy: Remedy) -> str | None:
        if report.plan is None or options.plan is not None:
            return None
        try:
            if remedy.training is not None:
                return (
                    None
                    if set(remedy.training) & set(options.trainer_arguments)
                    else file.training_changed(remedy.training).text
                )
            if remedy.plan is None:
                return None
            return file.changed(report.plan.plan.lora, remedy.plan).text
        except PlanError:
            return None

    return PlanText(str(file.path), file.text, text_with)
