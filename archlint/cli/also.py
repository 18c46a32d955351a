"""``--also``: the same report in further formats, from one run."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
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


def check_apart(also: Sequence[tuple[str, Path]], others: Mapping[str, Path | None]) -> None:
    """Find out whether another option writes to one of these files.

    Args:
        also: formats and files.
        others: the files of other options, by their names.

    Raises:
        click.UsageError: one does.
    """
    named = {os.path.realpath(path) for _, path in also}
    for spelt, path in others.items():
        if path is not None and os.path.realpath(path) in named:
            raise click.UsageError(f"{OPTION}: {path} is the file of {spelt} too.")


def _formats_and_files(ctx: click.Context, __: click.Parameter, values: Sequence[str]) -> list[tuple[str, Path]]:
    found: dict[Path, str] = {}
    for value in values:
        style, _, name = value.partition("=")
        if style and name and style not in FORMATS:
            raise click.BadParameter(f"{value!r}: {style!r} is not one of {', '.join(map(repr, FORMATS))}.")
        if style not in FORMATS or not name:
            raise click.BadParameter(f"{value!r} is no FORMAT=FILE, such as sarif=archlint.sarif.")
        if (path := Path(name)) in found:
            raise click.BadParameter(f"{name} is named twice.")
        if not ctx.resilient_parsing:
            check_writable(path, OPTION)
        found[path] = style
    return [(style, path) for path, style in found.items()]
