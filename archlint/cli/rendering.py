"""A run as text, in the format that was asked for."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from archlint.cli.output import is_terminal, wants_color, width

if TYPE_CHECKING:
    from archlint.core.catalog import Catalog
    from archlint.core.finding import Remedy
    from archlint.core.report import Report, Run
    from archlint.plans import PlanFile
    from archlint.report.sarif import PlanText

FORMATS = ("full", "concise", "json", "jsonl", "sarif", "github")


def render(
    run: Run,
    style: str,
    *,
    code: int,
    catalog: Catalog,
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
        catalog: all rules.
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
    if style == "sarif":
        from archlint.report import sarif

        plan = None if file is None else _plan_text(file, alone=alone, given=given)
        return sarif.render(run, rules=list(catalog.rules.values()), root=Path.cwd(), plan=plan)
    from archlint.report import full
    from archlint.report.layout import draw

    screen = is_terminal() and not to_file
    return draw(full.render(run, exit_code=code), width=width(), terminal=screen, color=screen and wants_color())


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
