"""Options that several commands share, and what they mean to the engine."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from archlint.cli.commands import UNCHECKED, Setting, option, together
from archlint.report.quoting import one_line
from archlint.settings.forms import Form

if TYPE_CHECKING:
    from archlint.core.blueprint import Scope
    from archlint.core.catalog import Catalog, Selection
    from archlint.core.finding import Severity
    from archlint.sources import SourceOptions
    from archlint.store import Store

F = TypeVar("F", bound=Callable[..., Any])

WHAT, PLAN, TRAINERS = "What is checked", "Your plan", "Trainers"
"""Sections of options that say what is checked, by which plan and for whom."""
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


class NoRulesError(click.ClickException):
    """There is no rule to check anything with."""

    exit_code = UNCHECKED


def scope_option(section: str) -> Callable[[F], F]:
    """``--scope``."""
    return option(
        "--scope",
        type=click.Choice(["auto", "text", "vision", "audio", "all"]),
        default="auto",
        metavar="PART",
        help="What is trained: auto, text, vision, audio, all.",
        section=section,
        setting=Setting.OF_SOURCE,
    )


def prove_option(section: str) -> Callable[[F], F]:
    """``--no-prove``."""
    return option(
        "--no-prove",
        is_flag=True,
        help="Read the structure only: plans stay unchecked.",
        section=section,
        setting=Setting.OF_SOURCE,
    )


def rule_options(section: str) -> Callable[[F], F]:
    """``--select``, ``--ignore``, ``--extend-select``."""
    here = functools.partial(
        option, multiple=True, callback=codes, metavar="CODES", section=section, setting=Setting.OF_SOURCE
    )
    return together(
        here("--select", help="Run these rules only."),
        here("--ignore", help="Do not run these rules.", form=Form.CODES),
        here("--extend-select", help="Run these rules too."),
    )


def format_option(
    section: str, formats: Sequence[str], *, listed: str | None = None, setting: Setting = Setting.NOWHERE
) -> Callable[[F], F]:
    """``--format``, whose value is ``style``: one of ``formats``, by default the first; ``listed`` names them."""
    *others, last = formats
    return option(
        "--format",
        "style",
        type=click.Choice(formats),
        default=formats[0],
        metavar="FORMAT",
        help=listed or f"{', '.join(others)} or {last}.",
        section=section,
        setting=setting,
    )


def output_option(section: str, text: str = "Write there, not to standard output.") -> Callable[[F], F]:
    """``--output``."""
    return option("--output", "-o", type=click.Path(path_type=Path), metavar="FILE", help=text, section=section)


def fail_on_option(section: str) -> Callable[[F], F]:
    """``--fail-on``, whose value :func:`severity` reads."""
    return option(
        "--fail-on",
        type=click.Choice(["error", "warning", "info", "never"]),
        default="error",
        metavar="SEVERITY",
        help="Exit code 1 from: error, warning, info or never.",
        section=section,
        setting=Setting.OF_ALL,
    )


def severity(word: str) -> Severity | None:
    """The severity that ``--fail-on`` names; ``never`` is ``None``."""
    from archlint.core.finding import Severity

    return None if word == "never" else Severity(word)


def load_option(section: str) -> Callable[[F], F]:
    """``--load``."""
    return option(
        "--load",
        multiple=True,
        type=_FILE,
        metavar="RULE_FILE",
        help="Load rules from a Python file.",
        section=section,
        setting=Setting.OF_ALL,
    )


def source_options(section: str = "Where the model comes from") -> Callable[[F], F]:
    """The options of :func:`source_settings`, and ``--class``."""
    here = functools.partial(option, section=section, setting=Setting.OF_SOURCE)
    return together(
        here("--revision", metavar="REV", help="Branch, tag or commit on the hub."),
        here("--subfolder", metavar="DIR", help="Folder that holds config.json."),
        here("--class", "class_name", metavar="NAME", help="Build this model class instead."),
        here("--offline", is_flag=True, help="Ask the hub's cache and the snapshots only."),
        here(
            "--cache-dir",
            type=click.Path(file_okay=False, path_type=Path),
            metavar="DIR",
            help="The hub's cache, if not the default one.",
        ),
        option(
            "--trust-remote-code",
            is_flag=True,
            help="Run the model's own Python code, contained.",
            section=section,
            setting=Setting.OF_SOURCE_ALONE,  # who says so of all says so of code that nobody has seen
        ),
        here("--require-sandbox", is_flag=True, help="Run it only where nothing is open to it."),
    )


def settings_options(section: str = "Settings") -> Callable[[F], F]:
    """``--config`` and ``--isolated``."""
    return together(
        option(
            "--config",
            type=_FILE,
            metavar="FILE",
            help="Take settings from there.",
            section=section,
        ),
        option("--isolated", is_flag=True, help="Take them from no file.", section=section),
    )


def cache_option(section: str = "Other") -> Callable[[F], F]:
    """``--no-cache``."""
    return option(
        "--no-cache",
        is_flag=True,
        help="Take no result that is kept, and keep none.",
        section=section,
        setting=Setting.OF_SOURCE,
    )


def kept(values: Mapping[str, Any]) -> Store | None:
    """Where results are kept, as :func:`cache_option` and the user's environment have it; ``None`` for nowhere."""
    from archlint import store

    return None if values["no_cache"] else store.usual()


def source_settings(values: Mapping[str, Any]) -> SourceOptions:
    """The values of :func:`source_options`, among others."""
    from archlint.sources import SourceOptions

    names = ("offline", "revision", "subfolder", "cache_dir", "class_name", "trust_remote_code", "require_sandbox")
    return SourceOptions(**{name: values[name] for name in names})


def scope(word: str) -> Scope | None:
    """The scope that ``--scope`` names; ``auto`` is ``None``."""
    from archlint.core.blueprint import Scope

    return None if word == "auto" else Scope(word)


def load_catalog(files: Sequence[Path]) -> Catalog:
    """All rules, and those in ``files``.

    Raises:
        click.UsageError: a file cannot be loaded.
        NoRulesError: no rule can be loaded at all.
    """
    from archlint import rule_index
    from archlint.core.catalog import Catalog, RuleLoadError

    try:
        catalog = Catalog.load(files) if files else rule_index.catalog()
    except RuleLoadError as error:
        raise click.UsageError(f"--load: {error}") from error
    if not catalog.known:
        raise _no_rules(catalog)
    return catalog


def _no_rules(catalog: Catalog) -> NoRulesError:
    reasons = "; ".join(one_line(str(failure)) for failure in catalog.failures)
    return NoRulesError(f"no rule could be loaded: {reasons or 'no package has one'}")


def find_code(catalog: Catalog, word: str) -> str:
    """The code of the rule that ``word`` names.

    Raises:
        click.UsageError: there is none.
    """
    from archlint.core.catalog import UnknownRuleError

    try:
        return catalog.code(word)
    except UnknownRuleError as error:
        raise click.UsageError(str(error)) from error


def select_rules(catalog: Catalog, select: Sequence[str], ignore: Sequence[str], extend: Sequence[str]) -> Selection:
    """The rules to run.

    Raises:
        click.UsageError: a code names no rule, or no rule is left.
    """
    from archlint.core.catalog import UnknownRuleError

    try:
        rules = catalog.chosen(select, ignore, extend)
    except UnknownRuleError as error:
        raise click.UsageError(str(error)) from error
    if not rules:
        raise click.UsageError("no rule is left to run: --ignore takes all that --select chose")
    return rules


def codes(_: click.Context, __: click.Parameter, values: Sequence[str]) -> list[str]:
    """The value of a repeatable option of rule codes, each one or several.

    Raises:
        click.BadParameter: the option is there, but no code is.
    """
    found = [code for value in values for code in split(value)]
    if values and not found:
        raise click.BadParameter("no code is given.")
    return found


def split(value: str) -> list[str]:
    """Codes that stand between commas."""
    return [code.strip() for code in value.split(",") if code.strip()]
