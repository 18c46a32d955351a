"""``--also``: the same report in further formats, from one run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from archlint.cli.commands import option
from archlint.cli.output import check_writable
from archlint.cli.rendering import FORMATS

F = TypeVar("F", bound=Callable[..., Any])

OPTION = "--also"


def also_option(section: str) -> Callable[[F], F]:
    """``--also``, whose value is a list of formats and files."""
    return option(
        OPTION,
        multiple=True,
        metavar="FORMAT=FILE",
        callback=_formats_and_files,
        help="Write there as well, in that format.",
        section=section,
    )


def _formats_and_files(ctx: click.Context, __: click.Parameter, values: Sequence[str]) -> list[tuple[str, Path]]:
    found: dict[Path, str] = {}
    for value in values:
        style, _, name = value.partition("=")
        if style not in FORMATS or not name:
            raise click.BadParameter(f"{value!r} is no FORMAT=FILE, such as sarif=archlint.sarif.")
        if (path := Path(name)) in found:
            raise click.BadParameter(f"{name} is named twice.")
        if not ctx.resilient_parsing:
            check_writable(path, OPTION)
        found[path] = style
    return [(style, path) for path, style in found.items()]
