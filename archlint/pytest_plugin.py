"""The pytest plugin: a test item for each source, and a fixture for tests of a project's own.

pytest loads this module in every run of an environment that has archlint, so what checks models is imported in
the functions that use it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from peft import PeftConfig
    from torch import nn

    from archlint.core.report import Report
    from archlint.plans import PlanFile

_SEVERITIES = ("error", "warning", "info")
_WIDTH = 100
"""Columns for the prose of a report: pytest itself indents and wraps nothing."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("archlint", "checks before fine-tuning (archlint)")
    group.addoption(
        "--archlint",
        action="append",
        default=[],
        dest="archlint_sources",
        metavar="SOURCE",
        help="add a test of this model: a hub id, a folder, type:NAME, … (repeatable; in place of archlint_sources)",
    )
    group.addoption(
        "--archlint-adapter-config",
        dest="archlint_adapter_config",
        metavar="FILE",
        help="judge this plan, a file of PEFT or of a trainer; without a source, on the model that it names",
    )
    group.addoption(
        "--archlint-fail-on",
        dest="archlint_fail_on",
        choices=_SEVERITIES,
        metavar="SEVERITY",
        help="the mildest finding that fails such a test: error (the default), warning or info",
    )
    parser.addini("archlint_sources", "models to be tested by archlint, one a line", type="linelist", default=[])
    parser.addini("archlint_adapter_config", "the default of --archlint-adapter-config", default="")
    parser.addini("archlint_fail_on", "the default of --archlint-fail-on", default="error")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_SETTINGS] = _settings(config)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, pytest.CollectReport, Any]:
    report = yield
    if isinstance(collector, pytest.Session):
        settings = collector.config.stash[_SETTINGS]
        if settings.sources:  # beside the files: what selects, orders and distributes tests sees them as it does those
            report.result.append(_Sources.from_parent(collector, name="archlint", nodeid="archlint", settings=settings))
    return report


@pytest.fixture(scope="session", name="archlint")
def archlint_fixture() -> Archlint:
    """Checks models and plans with archlint; a report that is not ok fails the test."""
    return Archlint()


class Archlint:
    """What the fixture ``archlint`` gives: the functions of archlint, which fail the test with the report.

    The options are those of the functions of the same names in :mod:`archlint`, which say what they raise.
    """

    def check_plan(
        self,
        model: str | Path | nn.Module,
        config: Mapping[str, Any] | PeftConfig,
        *,
        fail_on: str = "warning",
        allow_unchecked: bool = False,
        **options: Any,
    ) -> Report:
        """Check a plan on a model, and give the report back.

        Args:
            model: a live module or a source.
            config: a LoraConfig, its arguments, or the config of another adapter that PEFT places by module.
            fail_on: the mildest finding that fails the test: ``error``, ``warning`` or ``info``.
            allow_unchecked: whether it is fine that something could not be checked.
            options: as for :func:`archlint.check_plan`.
        """
        __tracebackhide__ = True
        from archlint.api import check_plan

        return _passed(check_plan(model, config, **options), fail_on, allow_unchecked)

    def lint(
        self,
        source: str | Path | nn.Module,
        *,
        fail_on: str = "warning",
        allow_unchecked: bool = False,
        **options: Any,
    ) -> Report:
        """Check a model, and give the report back; ``options`` are those of :func:`archlint.lint`."""
        __tracebackhide__ = True
        from archlint.api import lint

        return _passed(lint(source, **options), fail_on, allow_unchecked)

    def recipe(self, model: str | Path | nn.Module, **options: Any) -> dict[str, Any]:
        """The arguments of a LoraConfig that fits, as of :func:`archlint.recipe`."""
        from archlint.api import recipe

        return recipe(model, **options)


@dataclass(frozen=True)
class _Settings:
    """What the command line and the ini file ask for."""

    sources: Mapping[str, str]
    """For each name of an item, what is checked: the same, or an absolute path."""
    plan_file: PlanFile | None
    fail_on: str


_SETTINGS = pytest.StashKey[_Settings]()


class _Sources(pytest.Collector):
    """The parent of the items, which no file is."""

    def __init__(self, *, settings: _Settings, **node: Any) -> None:
        super().__init__(**node)
        self.settings = settings

    def collect(self) -> Iterator[_SourceItem]:
        for name, source in self.settings.sources.items():
            yield _SourceItem.from_parent(self, name=name, source=source)


class _SourceItem(pytest.Item):
    """The test of one source."""

    parent: _Sources

    def __init__(self, *, source: str, **node: Any) -> None:
        super().__init__(**node)
        self.source = source

    def runtest(self) -> None:
        from archlint.core.catalog import Catalog
        from archlint.engine import Options, check

        settings, catalog = self.parent.settings, Catalog.load()
        options = Options(rules=catalog.select(), catalog=catalog, plan_file=settings.plan_file)
        report = dataclasses.replace(check(self.source, options), source=self.name)
        _passed(report, settings.fail_on, allow_unchecked=False, with_trace=False)

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.config.rootpath / "archlint", None, f"archlint {self.name}"


def _passed(report: Report, fail_on: str, allow_unchecked: bool, *, with_trace: bool = True) -> Report:
    """``report``, where it is fine; else the test fails, with the line that asked for it where there is one."""
    __tracebackhide__ = True
    from archlint.core.report import FindingsError

    try:
        return report.raise_for_findings(fail_on, allow_unchecked=allow_unchecked)
    except FindingsError:
        message = _rendered(report)
    return pytest.fail(message, pytrace=with_trace)


def _rendered(report: Report) -> str:
    """A line that sums up, for pytest's summary, and the report as people read it on the command line."""
    from archlint.engine import finished
    from archlint.report import full, wording
    from archlint.report.layout import draw
    from archlint.report.quoting import one_line

    run = finished([report])
    return f"{one_line(report.source)}: {wording.tally(run)}\n\n{draw(full.render(run, exit_code=None), width=_WIDTH)}"


def _settings(config: pytest.Config) -> _Settings:
    plan_file = _plan_file(config)
    given = config.getoption("archlint_sources")
    home = Path() if given else _home(config)
    sources = {source: _located(source, home) for source in given or _ini_sources(config)}
    if plan_file is not None and not sources:
        if plan_file.base_model is None:
            raise pytest.UsageError(f"no --archlint SOURCE is given, and {plan_file.path} names no model")
        sources = {plan_file.base_model: plan_file.base_model}
    return _Settings(sources, plan_file, _fail_on(config))


def _ini_sources(config: pytest.Config) -> list[str]:
    """What the ini file names, unless only single tests are asked for, as by ``tests/test_it.py::test_this``."""
    single = bool(config.args) and all("::" in argument for argument in config.args)
    return [] if single else config.getini("archlint_sources")


def _located(source: str, home: Path) -> str:
    """``source``, where it is a path from ``home`` as an absolute one: tests may change the folder."""
    return str((home / source).absolute()) if (home / source).exists() else source


def _home(config: pytest.Config) -> Path:
    """The folder that paths of the ini file start from."""
    return config.inipath.parent if config.inipath is not None else config.rootpath


def _plan_file(config: pytest.Config) -> PlanFile | None:
    given, ini = config.getoption("archlint_adapter_config"), config.getini("archlint_adapter_config")
    if not given and not ini:
        return None
    from archlint.plans import PlanError, read_plan_file

    try:
        return read_plan_file(Path(given) if given else _home(config) / ini)
    except PlanError as error:
        where = "--archlint-adapter-config" if given else "archlint_adapter_config:"
        raise pytest.UsageError(f"{where} {' '.join(str(error).split())}") from error


def _fail_on(config: pytest.Config) -> str:
    word: str = config.getoption("archlint_fail_on") or config.getini("archlint_fail_on")
    if word not in _SEVERITIES:
        raise pytest.UsageError(f"archlint_fail_on: one of {', '.join(_SEVERITIES)} is expected, not {word!r}")
    return word
