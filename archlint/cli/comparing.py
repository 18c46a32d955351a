"""What came and went between two runs as text, in the format that was asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from archlint.cli.here import compared_from_here
from archlint.cli.rendering import drawn, render

if TYPE_CHECKING:
    from archlint.core.catalog import Catalog
    from archlint.core.comparison import Difference
    from archlint.core.finding import Severity
    from archlint.engine import Options


def render_difference(
    difference: Difference,
    *,
    style: str,
    fail_on: Severity | None,
    catalog: Catalog,
    options: Mapping[str, Options],
    output: Path | None,
) -> str:
    """``difference`` in one of :data:`~archlint.cli.rendering.FORMATS`.

    Formats for programs that collect findings (sarif, github, gitlab, junit) hold what is new or worse alone.

    Args:
        difference: of two runs.
        style: the format.
        fail_on: the mildest severity that it fails on; ``None`` where it never does.
        catalog: all rules.
        options: how each source was checked, where that is known.
        output: the file that it goes to; ``None`` for standard output.
    """
    if style == "full":
        from archlint.report.difference import full

        return drawn(
            full.render(compared_from_here(difference), exit_code=difference.exit_code(fail_on)), "what changed", output
        )
    if style == "concise":
        from archlint.report.difference import concise

        return concise.render(compared_from_here(difference))
    if style == "markdown":
        from archlint.report.difference import markdown

        return markdown.render(compared_from_here(difference))
    if style in ("json", "jsonl"):
        from archlint.report.difference import document

        return document.render(difference) if style == "json" else document.lines(difference)
    if style == "html":
        from archlint.report import html

        found = difference.comparisons
        named = (dataclasses.replace(one.before, source=one.source) for one in found if one.before is not None)
        before = dataclasses.replace(difference.before, reports=tuple(named))
        return html.render([before, difference.after], rules=list(catalog.rules.values()))
    return render(difference.news, style=style, fail_on=fail_on, catalog=catalog, options=options, output=output)
