"""The lines of a scan's results: those of ``--format jsonl``, the same bytes each time the same thing is scanned.

So they say neither when it was scanned nor how long it took, and each bears the mark of what it was scanned with.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archlint.core.report import Report, Run, Unchecked
from archlint.digests import digest as content_digest
from archlint.own_code import all_code
from archlint.report import contract, stored
from archlint.report.values import DocumentError
from archlint.surroundings import surroundings
from archlint.versions import environment

if TYPE_CHECKING:
    from archlint.options import Options

MARK = "scan"
HEAD = json.dumps({"schema": contract.SCHEMA}).removesuffix("}").encode()
"""What each line begins with."""
_DIGITS = 16


def line(document: Mapping[str, Any], entry: bytes, digest: str) -> bytes:
    """A document as a line, with the mark of the entry that it is about, and of what it was scanned with."""
    marked = {**document, "created": None, MARK: {"digest": digest, "entry": entry.hex()}}
    return json.dumps(marked, allow_nan=False).encode() + b"\n"


def document(report: Report) -> dict[str, Any]:
    """The document of one report."""
    return contract.document(Run(environment(), (dataclasses.replace(report, seconds=0.0),)))


def report(text: str) -> Report:
    """The one report of a document.

    Raises:
        DocumentError: it is something else.
    """
    reports = [report for run in stored.parse(text) for report in run.reports]
    if len(reports) != 1:
        raise DocumentError(f"it has {len(reports)} reports")
    return reports[0]


def lost(source: str, why: str, options: Options) -> Report:
    """The report on a model of which there is none."""
    from archlint.core.blueprint import Scope

    return Report(source, scope=options.scope or Scope.TEXT, unchecked=(Unchecked("the model", why),))


def digest(options: Options) -> str:
    """What tells results that were made with other options or versions, or by another archlint.

    How many were checked at a time, how long one may have taken, and where its files are cached is no part of it.
    """
    source = dataclasses.replace(options.source, cache_dir=None)
    said = [
        all_code(),
        surroundings(),
        [_rule(rule) for rule in options.rules],
        list(map(str, options.catalog.failures)) if options.catalog is not None else None,
        options.scope,
        *options.asked(),
        dataclasses.astuple(source),
    ]
    return content_digest(json.dumps(said, default=str, sort_keys=True).encode())[:_DIGITS]


def _rule(rule: type) -> tuple[str, str, str]:
    return rule.__module__, rule.__qualname__, _code_of(rule.__module__)


@functools.cache
def _code_of(module: str) -> str:
    """Digest of the file that a module was loaded from."""
    file = getattr(sys.modules.get(module), "__file__", None)
    try:
        return content_digest(Path(file).read_bytes()) if file else ""
    except OSError:
        return ""
