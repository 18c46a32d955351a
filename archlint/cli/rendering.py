"""A run as text, in the format that was asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from archlint.cli.output import is_terminal, wants_color, width

if TYPE_CHECKING:
    from archlint.core.catalog import Catalog
    from archlint.core.finding import Remedy, Severity
    from archlint.core.report import Report, Run
    from archlint.core.rule import Rule
    from archlint.plans import PlanFile
    from archlint.report.sarif import PlanText

FORMATS = ("full", "concise", "json", "jsonl", "sarif", "github", "gitlab", "junit", "markdown")


def render(
    run: Run,
    style: str,
    *,
    code: int,
    fail_on: Severity | None,
    catalog: Catalog,
    rules: Sequence[type[Rule]],
    subfolder: str | None,
    file: PlanFile | None,
    alone: bool,
    given: Collection[str] = (),
    to_file: bool,
) -> str:
    """``run`` in one of :data:`FORMATS`.

    Args:
        run: what was found.
        style: the format.
        code: what the command exits with.
        fail_on: the mildest severity that it fails on; ``None`` where it never does.
        catalog: all rules.
        rules: those that ran.
        subfolder: where in a folder its configuration is.
        file: where the user's plan comes from.
        alone: whether all of it does; what options say cannot be mended in the file.
        given: arguments of the trainer that options say, which win over the file.
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

        configs = dict(_configs((report.source for report in run.reports), subfolder))
        return gitlab.render(run, root=Path.cwd(), plan=None if file is None else str(file.path), configs=configs)
    if style == "junit":
        from archlint.report import junit

        return junit.render(run, rules=rules, fail_on=fail_on, root=Path.cwd())
    if style == "markdown":
        from archlint.report import markdown

        return markdown.render(run)
    if style == "sarif":
        from archlint.report import sarif

        plan = None if file is None else _plan_text(file, alone=alone, given=given)
        return sarif.render(run, rules=list(catalog.rules.values()), root=Path.cwd(), plan=plan)
    from archlint.report import full
    from archlint.report.layout import draw

    screen = is_terminal() and not to_file
    return draw(full.render(run, exit_code=code), width=width(), terminal=screen, color=screen and wants_color())


def _configs(sources: Iterable[str], subfolder: str | None) -> Iterator[tuple[str, str]]:
    """Each source that is a path, and the file in it that is read, or is missing."""
    from archlint.sources.contents import ADAPTER_CONFIG, CONFIG

    for source in sources:
        with contextlib.suppress(OSError, ValueError, RuntimeError):  # a name that no path can have
            path = Path(source).expanduser()
            if path.is_dir():
                folder = path / subfolder if subfolder else path
                is_adapter = (folder / ADAPTER_CONFIG).is_file() and not (folder / CONFIG).is_file()
                yield source, str(folder / (ADAPTER_CONFIG if is_adapter else CONFIG))
            elif path.is_file():
                yield source, str(path)


def _plan_text(file: PlanFile, *, alone: bool, given: Collection[str]) -> PlanText:
    from archlint.plans import PlanError
    from archlint.report.sarif import PlanText

    def text_with(report: Report, remedy: Remedy) -> str | None:
        if report.plan is None or not alone:
            return None
        try:
            if remedy.training is not None:
                return None if set(remedy.training) & set(given) else file.training_changed(remedy.training).text
            if remedy.plan is None:
                return None
            return file.changed(report.plan.plan.lora, remedy.plan).text
        except PlanError:
            return None

    return PlanText(str(file.path), file.text, text_with)
