"""One source through all stages: where it is, what is known of it, what the model itself says, the report."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from archlint.core.report import Report, Run, Unchecked
from archlint.garbage import seldom_collected
from archlint.identity import NAMELESS, Located, locate
from archlint.options import Options
from archlint.quiet import quiet
from archlint.sources.source import SourceError
from archlint.versions import environment

if TYPE_CHECKING:
    from torch import nn

    from archlint.core.blueprint import Blueprint
    from archlint.core.custom_code import Conduct
    from archlint.evidence import Evidence
    from archlint.memory import Memory
    from archlint.subject import Bench

__all__ = ["Options", "check", "check_located", "checking", "environment", "finished", "kept", "opening"]

_ONE_AT_A_TIME = threading.RLock()
"""A check changes parts of torch and of the process while it runs, and puts them back."""

Judge = Callable[[Options], Report]
"""The report for one way to check the source that it is for."""


def finished(reports: Iterable[Report]) -> Run:
    """A run that ends now."""
    now = datetime.now(timezone.utc).replace(microsecond=0)
    return Run(environment(), tuple(reports), created=now.isoformat().replace("+00:00", "Z"))


def check(source: str | nn.Module, options: Options) -> Report:
    """The report on one source; whatever keeps it from being loaded is in the report, not raised."""
    with checking(source, options) as judge:
        return judge(options)


@contextlib.contextmanager
def checking(source: str | nn.Module, options: Options) -> Iterator[Judge]:
    """What checks one source for several plans: the model is built once, and each plan tried once.

    The options that are judged by may differ from ``options`` in the plan, its file and the rules.
    """
    started = time.monotonic()
    with _judging(source, options) as judge:

        def timed(options: Options) -> Report:
            nonlocal started
            report = _with_missing_rules(judge(options), options)
            seconds, started = round(time.monotonic() - started, 3), time.monotonic()
            return dataclasses.replace(report, seconds=seconds)

        yield timed


def check_located(located: Located, options: Options) -> Report:
    """The report on a source that is located, without its name: that of all that have its key."""
    with _examining(located, options) as judge:
        return _with_missing_rules(judge(options), options)


def kept(located: Located, options: Options) -> Report | None:
    """What :func:`check_located` would give, where an earlier check left it; nothing is built for it."""
    from archlint.memory import Memory

    report = Memory(located, options).report(located.asked(options))
    return None if report is None else _with_missing_rules(report, options)


@contextlib.contextmanager
def opening(source: str | nn.Module, options: Options) -> Iterator[Bench | Report]:
    """The model of one source, built and surveyed; or a report that says why there is none."""
    from archlint.building import live
    from archlint.subject import NotBuiltError, missing_part

    with _alone():
        try:
            subject = _named(source, options) if isinstance(source, str) else live(source, options)
        except (SourceError, NotBuiltError) as error:
            yield _not_loaded(source if isinstance(source, str) else type(source).__name__, error, options)
            return
        with contextlib.closing(subject):
            blueprint = subject.blueprint
            if (missing := missing_part(blueprint)) is not None:
                yield _not_judged(blueprint.model.id, blueprint, missing, subject.conduct(), options)
            else:
                yield subject


def _named(source: str, options: Options) -> Bench:
    """The model of ``source`` with the name that it has there.

    Raises:
        NotBuiltError: there is no model, or one that only the repository's own code makes, which may not run.
        SourceError: there is no such source.
    """
    from archlint.subjects import bench_of

    located = _located(source, options)
    subject = bench_of(located, options)
    named = located.named(Report(NAMELESS, subject.blueprint.model))
    assert named.model is not None  # as it had one
    subject.blueprint = dataclasses.replace(subject.blueprint, model=named.model)
    subject.notes = named.notes
    return subject


@contextlib.contextmanager
def _judging(source: str | nn.Module, options: Options) -> Iterator[Judge]:
    if not isinstance(source, str):
        with _alone():
            yield _judge_of_object(source, options)
        return
    try:
        with quiet():
            located = _located(source, options)
    except SourceError as error:
        reason = error
        yield lambda options: _not_loaded(source, reason, options)
        return
    with _examining(located, options) as judge:
        yield lambda options: located.named(judge(options))


def _located(source: str, options: Options) -> Located:
    options.progress("reading the config")
    return locate(source, options)


def _judge_of_object(model: nn.Module, options: Options) -> Judge:
    from archlint.building import live
    from archlint.evidence import Answers, Evidence
    from archlint.subject import NotBuiltError

    try:
        subject = live(model, options)
    except NotBuiltError as error:
        reason = error
        return lambda options: _not_loaded(type(model).__name__, reason, options)
    evidence = Evidence(Answers(), lambda: subject)
    return lambda options: _report(evidence.blueprint.model.id, evidence, options)


@contextlib.contextmanager
def _examining(located: Located, options: Options) -> Iterator[Judge]:
    """What checks a located source without its name."""
    from archlint.memory import Memory

    with contextlib.ExitStack() as held:
        memory = held.enter_context(contextlib.closing(Memory(located, options)))

        def judge(options: Options) -> Report:
            options = located.asked(options)
            if (known := memory.report(options)) is not None:
                return known
            held.enter_context(_alone())
            report = _examined(memory, options)
            memory.keep(report, options)
            return report

        yield judge


def _examined(memory: Memory, options: Options) -> Report:
    from archlint.subject import NotBuiltError

    try:
        evidence = memory.evidence()
        report = _report(NAMELESS, evidence, options)
    except NotBuiltError as error:  # also in the midst of it: the repository's own code may end its process
        return _not_loaded(NAMELESS, error, options)
    if memory.is_kept and options.catalog is not None and options.prove:
        # with other rules it is to be answered from what is known
        every = options.catalog.chosen()
        if len(every) > len(options.rules):
            _report(NAMELESS, evidence, dataclasses.replace(options, rules=every))
    return report


def _report(name: str, evidence: Evidence, options: Options) -> Report:
    from archlint import reporting
    from archlint.subject import missing_part

    blueprint = evidence.blueprint
    if (missing := missing_part(blueprint)) is not None:
        return _not_judged(name, blueprint, missing, evidence.conduct(), options)
    return reporting.report(name, evidence, options)


def _not_judged(
    name: str, blueprint: Blueprint, missing: Unchecked, conduct: Conduct | None, options: Options
) -> Report:
    from archlint import reporting

    return reporting.not_judged(name, blueprint, (missing,), conduct, options)


def _not_loaded(name: str, error: Exception, options: Options) -> Report:
    from archlint import reporting  # with all that a report is made of, which one that is kept has no need of

    return reporting.not_loaded(name, error, options)


def _with_missing_rules(report: Report, options: Options) -> Report:
    """``report`` with the installed plugins that could not be loaded, as far as they were tried."""
    failures = () if options.catalog is None else options.catalog.failures
    missing = tuple(Unchecked("a rule plugin", str(error)) for error in failures)
    return dataclasses.replace(report, unchecked=report.unchecked + missing)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Within the block nobody else checks anything in this process, and its libraries are silent."""
    with _ONE_AT_A_TIME, quiet(), seldom_collected():
        yield
