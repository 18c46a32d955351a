"""The identity of entries: what a list says of a source, located, and checked without its name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from archlint.core.report import Report
from archlint.scanning import lines
from archlint.scanning.entries import Entry
from archlint.scanning.scan import Found, Identity
from archlint.sources.model_types import model_types

if TYPE_CHECKING:
    from archlint.identity import Located
    from archlint.options import Options


def usual() -> Identity:
    """How a scan finds sources and checks them."""
    model_types()  # read before there are threads: in Python 3.11 two that parse at once break each other
    return Identity(_locate, _check, lambda report, located: located.named(report))


def _locate(entry: Entry, options: Options) -> Found | Report:
    from archlint import engine, reporting
    from archlint.identity import locate
    from archlint.sources.source import SourceError

    if entry.on_hub and _is_here(entry.source):
        why = f"the hub's {entry.source} is a path here as well: scan it from another folder"
        return lines.lost(entry.source, why, options)
    try:
        located = locate(entry.source, options) if entry.config is None else _given(entry)
    except SourceError as error:
        return reporting.not_loaded(entry.source, error, options)
    # an adapter's report is about its plan and its weights too
    key = None if located.adapter is not None else located.architecture(options)
    return Found(located, key, engine.kept(located, options))


def _given(entry: Entry) -> Located:
    """An entry that brings its config."""
    from archlint.identity import Located
    from archlint.sources.sanity import check_sizes
    from archlint.sources.source import Source

    assert entry.config is not None
    check_sizes(entry.config, f"the config of {entry.source}")
    source = Source(entry.source, entry.source, origin="local", config=entry.config, revision=entry.revision)
    return Located(entry.source, source)


def _is_here(name: str) -> bool:
    try:
        return Path(name).exists()
    except (OSError, ValueError):
        return False


def _check(located: Located, options: Options) -> Report:
    from archlint import engine

    return engine.check_located(located, options)
