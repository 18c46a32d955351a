"""A run as text, in the format that was asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
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

FORMATS = ("full", "concise", "json", "jsonl", "sarif", "github", "gitlab", "junit", "markdown")
STREAMS = ("concise", "jsonl")
"""Those in which a run is its reports, one behind the other."""


def render(
    run: Run,
    *,
    style: str,
    fail_on: Severity | None,
    catalog: Catalog,
    options: Mapping[str, Options],
    to_file: bool,
) -> str:
    """``run`` in one of :data:`FORMATS`.

    Args:
        run: what was found.
        style: the format.
        fail_on: the mildest severity that it fails on; ``None`` where it never does.
        catalog: all rules.
        options: how each source was checked.
        to_file: whether it goes to a file, not to standard output.
    """
    if style == "json":
        from archlint.report import json_document

        return json_document.render(run)
    if style == "jsonl":
        from archlint.report import json_lines

        return json_lines.render(run)
    if style == "concise":
        from archlint.report import concise

        return concise.render(run)
    if style == "github":
        from archlint.report import github

        return github.render(run, root=Path.cwd())
    if style == "gitlab":
        from archlint.report import gitlab

        files = {source: one.plan_file for source, one in options.items()}
        paths = {source: str(file.path) for source, file in files.items() if file is not None}
        return gitlab.render(run, root=Path.cwd(), plans=paths, configs=dict(_configs(options)))
    if style == "junit":
        from archlint.report import junit

        every = list(catalog.rules.values())  # where it is not known which ran
        rules = {report.source: every for report in run.reports} | {one: how.rules for one, how in options.items()}
        return junit.render(run, rules=rules, fail_on=fail_on, root=Path.cwd())
    if style == "markdown":
        from archlint.report import markdown

        return markdown.render(run)
    if style == "sarif":
        from archlint.report import sarif

        texts = {source: _plan_text(one) for source, one in options.items()}
        plans = {source: text for source, text in texts.items() if text is not None}
        return sarif.render(run, rules=list(catalog.rules.values()), root=Path.cwd(), plans=plans)
    from archlint.report import full

    return drawn(full.render(run, exit_code=run.exit_code(fail_on)), to_file=to_file)


def drawn(content: RenderableType, *, to_file: bool) -> str:
    """What people read, with colours where a terminal shows it."""
    from archlint.report.layout import draw

    screen = is_terminal() and not to_file
    return draw(content, width=width(), terminal=screen, color=screen and wants_color())


def _configs(options: Mapping[str, Options]) -> Iterator[tuple[str, str]]:
    """Each source that is a path, and the file in it that is read, or is missing."""
    from archlint.sources.contents import ADAPTER_CONFIG, CONFIG

    for source, how in options.items():
        subfolder = how.source.subfolder
        with contextlib.suppress(OSError, ValueError, RuntimeError):  # a name that no path can have
            path = Path(source).expanduser()
            if path.is_dir():
                folder = path / subfolder if subfolder else path
                is_adapter = (folder / ADAPTER_CONFIG).is_file() and not (folder / CONFIG).is_file()
                yield source, str(folder / (ADAPTER_CONFIG if is_adapter else CONFIG))
            elif path.is_file():
                yield source, str(path)


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
