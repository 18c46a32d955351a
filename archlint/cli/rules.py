"""``archlint rules`` and ``archlint explain``: what archlint looks for."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from archlint.cli.commands import SectionedCommand, option
from archlint.cli.options import find_rule, load_catalog, load_option
from archlint.cli.output import emit, is_terminal, notice, wants_color, width
from archlint.report import rule_pages

F = TypeVar("F", bound=Callable[..., Any])

_SETTINGS: dict[str, Any] = {"cls": SectionedCommand, "context_settings": {"help_option_names": ["-h", "--help"]}}


def format_option(function: F) -> F:
    """``--format``."""
    return option(
        "--format",
        "style",
        type=click.Choice(["text", "json"]),
        default="text",
        metavar="FORMAT",
        help="text or json.",
        section="Options",
    )(function)


@click.command(short_help="List the rules.", **_SETTINGS)
@format_option
@load_option("Options")
def rules(style: str, load: Sequence[Path]) -> None:
    """List all rules: code, name, the worst that it says, and what it is about."""
    catalog = load_catalog(load)
    for failure in catalog.failures:
        notice(f"warning: {failure}")
    known = list(catalog.rules.values())
    if style == "json":
        emit(_json([rule_pages.entry(rule) for rule in known]))
    else:
        emit(rule_pages.listing(known, width=width() if is_terminal() else None))


@click.command(short_help="Say what a rule means and what to do.", **_SETTINGS)
@click.argument("code")
@format_option
@load_option("Options")
def explain(code: str, style: str, load: Sequence[Path]) -> None:
    """Say what the rule CODE (or its name) looks for, why it matters and what to do."""
    rule = find_rule(load_catalog(load), code)
    if style == "json":
        emit(_json(rule_pages.entry(rule)))
    else:
        heading = _bold if wants_color() else str
        emit(rule_pages.page(rule, width=min(width(), 100), heading=heading))


def _bold(text: str) -> str:
    return click.style(text, bold=True)


def _json(value: Any) -> str:
    return json.dumps(value, indent=2) + "\n"
