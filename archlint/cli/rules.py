"""``archlint rules`` and ``archlint explain``: what archlint looks for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from archlint import rule_index
from archlint.cli.commands import SectionedCommand, option
from archlint.cli.options import find_code, format_option, load_catalog, load_option
from archlint.cli.output import check_writable, emit, is_terminal, notice, wants_color, width, write
from archlint.report import rule_pages
from archlint.report.rule_pages import RulePage

_SETTINGS: dict[str, Any] = {"cls": SectionedCommand, "context_settings": {"help_option_names": ["-h", "--help"]}}


_FORMATS = ("text", "json", "markdown")


@click.command(short_help="List the rules.", **_SETTINGS)
@format_option("Options", _FORMATS)
@option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Write pages there, with --format markdown.",
    section="Options",
)
@load_option("Options")
def rules(style: str, output: Path | None, load: Sequence[Path]) -> None:
    """List all rules: code, name, the worst that it says, and what it is about."""
    known = _known(load, with_examples=output is not None or style == "json")
    if output is not None:
        _write(rule_pages.documents(known), output, style)
    elif style == "markdown":
        emit(rule_pages.index(known))
    elif style == "json":
        emit(_json([rule_pages.entry(rule) for rule in known]))
    else:
        emit(rule_pages.listing(known, width=width() if is_terminal() else None))


def _known(load: Sequence[Path], *, with_examples: bool) -> Sequence[RulePage]:
    """The pages of all rules, and of those in files that are loaded; plugins that cannot be loaded are told."""
    kept = None if load else rule_index.read()
    if kept is not None:
        return list(kept.values())
    from archlint.report.rule_examples import illustrated

    catalog = load_catalog(load)
    for failure in catalog.failures:
        notice(f"warning: {failure}")
    return [illustrated(rule) if with_examples else RulePage.of(rule) for rule in catalog.rules.values()]


@click.command(short_help="Say what a rule means and what to do.", **_SETTINGS)
@click.argument("code")
@format_option("Options", _FORMATS)
@load_option("Options")
def explain(code: str, style: str, load: Sequence[Path]) -> None:
    """Say what the rule CODE (or its name) looks for, why it matters and what to do."""
    rule = _explained(load, code)
    if style == "json":
        emit(_json(rule_pages.entry(rule)))
    elif style == "markdown":
        emit(rule_pages.document(rule))
    else:
        heading = _bold if wants_color() else str
        emit(rule_pages.explanation(rule, width=min(width(), 100), heading=heading))


def _explained(load: Sequence[Path], word: str) -> RulePage:
    kept = None if load else rule_index.read()
    if kept is not None:
        return kept[find_code(rule_index.deferred(kept), word)]
    from archlint.report.rule_examples import illustrated

    catalog = load_catalog(load)
    return illustrated(catalog.rules[find_code(catalog, word)])


def _write(documents: Mapping[str, str], folder: Path, style: str) -> None:
    if style != "markdown":
        raise click.UsageError("--output writes pages: it goes with --format markdown.")
    if not folder.is_dir():
        raise click.UsageError(f"--output {folder}: the folder does not exist")
    for name in documents:
        check_writable(folder / name)
    for name, text in documents.items():
        write(folder / name, text)
    notice(f"{len(documents)} files written to {folder}")


def _bold(text: str) -> str:
    return click.style(text, bold=True)


def _json(value: Any) -> str:
    return json.dumps(value, indent=2) + "\n"
