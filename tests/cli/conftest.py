"""The command line with an engine that answers at once, and what that engine was asked."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from archlint.cli.app import app
from archlint.core.blueprint import ModelInfo
from archlint.core.finding import Evidence, Finding, FoldedSites, Severity
from archlint.core.report import Environment, Report, Run, Unchecked
from archlint.core.trial import Plan, Trial

if TYPE_CHECKING:
    from archlint.engine import Options

Call = Callable[..., Result]
Plugin = Callable[[str], None]
ENVIRONMENT = Environment("3.11.7", peft="0.21.2")
CREATED = "2026-11-29T04:00:00Z"
RECIPE = {"target_modules": "all-linear", "exclude_modules": r".*\.vision_tower\..*"}

RULE = '''
from archlint.core.finding import Severity
from archlint.core.rule import Rule

class Mine(Rule):
    """Mine."""

    code, name, severity, why = "MINE1", "my-rule", Severity.INFO, "It is mine."

    def check(self, blueprint):
        return ()
'''


def finding(severity: Severity) -> Finding:
    code = {Severity.ERROR: "ARC101", Severity.WARNING: "ARC601", Severity.INFO: "ARC201"}[severity]
    sites = (FoldedSites("layers.{0..1}.q_proj", 2, "Wrapper", "wrapper", "text"),)
    return Finding(code, "some-name", severity, "something × is so", "It matters.", Evidence.INJECTED, sites)


class Engine:
    """Stands in for ``archlint.engine``: gives a report by the source's name, and keeps what it was told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Options]] = []

    def check(self, source: str, options: Options) -> Report:
        self.calls.append((source, options))
        options.progress("building")
        if source.startswith("gone"):
            return Report(source=source, unchecked=(Unchecked("the architecture", "it is not there"),))
        model = ModelInfo(f"org/{source}", "hub", "Net", "net", 10, 3)
        found = tuple(finding(severity) for severity in Severity if severity.value in source)
        ran = "unavailable" if "unrun" in source else "ok"
        recipe: Trial | None = Trial(Plan("recipe", RECIPE), adapted=("a", "b"), coverage=1.0, forward=ran)
        if "norecipe" in source:
            recipe = None
        return Report(source=source, model=model, findings=found, recipe=recipe)

    @contextlib.contextmanager
    def checking(self, source: str, options: Options) -> Iterator[Callable[[Options], Report]]:
        yield functools.partial(self.check, source)

    @property
    def sources(self) -> list[str]:
        return [source for source, _ in self.calls]

    @property
    def options(self) -> Options:
        return self.calls[-1][1]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    made = Engine()
    monkeypatch.setattr("archlint.engine.check", made.check)
    monkeypatch.setattr("archlint.engine.checking", made.checking)
    monkeypatch.setattr("archlint.engine.environment", lambda: ENVIRONMENT)
    monkeypatch.setattr("archlint.engine.finished", lambda reports: Run(ENVIRONMENT, tuple(reports), CREATED))
    return made


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Call:
    """Call the command line in this process, outside of any terminal, with standard input closed."""
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments), prog_name="archlint", input=None)

    return invoke


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Plugin:
    """Register an entry point for rules, beside the built-in ones and instead of any other."""

    def register(target: str) -> None:
        point = EntryPoint("plugged", target, "archlint.rules")
        monkeypatch.setattr("archlint.core.rule_loading.entry_points", lambda group: [point])

    return register


@pytest.fixture
def python() -> list[str]:
    """A fresh interpreter's ``python -m archlint``."""
    return [sys.executable, "-m", "archlint"]
