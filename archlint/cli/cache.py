"""``archlint cache``: the results that are kept."""

from __future__ import annotations

import json
import os
from typing import Any

import click

from archlint import store
from archlint.cli.commands import SectionedCommand, option
from archlint.cli.options import format_option
from archlint.cli.output import emit
from archlint.report.quoting import visible
from archlint.report.wording import plural, size
from archlint.store import Store, Usage

_SECTION = "Options"


@click.command(
    cls=SectionedCommand,
    short_help="Show or clear the results that are kept.",
    epilog=f"""\
Variables:
  {store.FOLDER}    the cache's folder, if not the platform's usual one
  {store.SIZE}  how large it may get, such as 500M or 2G; 0 keeps nothing
""",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@option("--clear", is_flag=True, help="Remove all results.", section=_SECTION)
@format_option(_SECTION, ("text", "json"))
def cache(clear: bool, style: str) -> None:
    """Show where results are kept, how many there are, and how much room they take and may take."""
    kept = Store(store.default_folder(), _limit())
    removed = kept.clear() if clear else None
    emit((_document if style == "json" else _text)(kept, removed))


def _limit() -> int:
    try:
        return store.chosen_limit()
    except store.LimitError as error:
        raise click.UsageError(f"{store.SIZE}: {error}") from error


def _text(kept: Store, removed: Usage | None) -> str:
    lines = [] if removed is None else [f"removed  {_amount(removed)}"]
    lines += [
        f"folder   {visible(os.fspath(kept.folder))}",
        f"holds    {_amount(kept.usage())}",
        f"limit    {size(kept.limit)}",
    ]
    return "\n".join(lines) + "\n"


def _amount(usage: Usage) -> str:
    return f"{plural(usage.entries, 'result')}, {size(usage.bytes)}"


def _document(kept: Store, removed: Usage | None) -> str:
    document: dict[str, Any] = {"folder": os.fspath(kept.folder), **kept.usage()._asdict(), "limit": kept.limit}
    if removed is not None:
        document["removed"] = removed._asdict()
    return json.dumps(document, indent=2) + "\n"
