"""``--against``: what is checked as it was at a revision of the git repository, beside what it is today."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from archlint.cli.commands import option
from archlint.cli.progress import progress
from archlint.cli.questions import Question

if TYPE_CHECKING:
    from archlint.core.comparison import Difference
    from archlint.core.finding import Finding
    from archlint.core.report import Report, Run
    from archlint.revisions import Past

F = TypeVar("F", bound=Callable[..., Any])

_ALONE = ("baseline", "write_baseline", "fix", "diff")


def against_option(section: str) -> Callable[[F], F]:
    """``--against``."""
    return option(
        "--against", metavar="REV", help="What is new and mended since that revision of git.", section=section
    )


def check_alone(values: Mapping[str, Any]) -> None:
    """Find out whether ``--against`` is given with what has another idea of what is new.

    Raises:
        click.UsageError: it is.
    """
    for name in _ALONE:
        if values[name]:
            raise click.UsageError(
                f"--against says what is new since a revision, and takes no --{name.replace('_', '-')}."
            )


@contextlib.contextmanager
def earlier(revision: str, questions: Mapping[str, Question]) -> Iterator[Callable[[Run], Difference]]:
    """Within the block there is what tells a run over the sources of ``questions`` from one at ``revision``.

    Files of models and of plans are taken from there; what is not in the repository (a model of the hub, an installed
    package), the rules and the settings are as they are today.

    Raises:
        click.UsageError: nothing that is checked is in a git repository, or there is no such revision.
    """
    from archlint.revisions import RevisionError, holds, past

    files = (question.options.plan_file for question in questions.values())
    named = [*map(Path, questions), *(file.path for file in files if file is not None)]
    paths = [path for path in dict.fromkeys(named) if path.exists() and holds(path)]
    if not paths:
        raise click.UsageError(
            "--against needs git: none of the models and plans is a file in one of its repositories."
        )
    try:
        with past(revision, paths) as then:
            yield lambda run: _difference(then, questions, run)
    except RevisionError as error:
        raise click.UsageError(f"--against: {error}.") from error


def _difference(then: Past, questions: Mapping[str, Question], run: Run) -> Difference:
    from archlint import engine
    from archlint.core.comparison import Difference

    if then.unchanged:
        return Difference.of(run, run)
    found = (_before(then, source, question) for source, question in questions.items())
    return Difference.of(engine.finished(report for report in found if report is not None), run)


def _before(then: Past, source: str, question: Question) -> Report | None:
    """What is said of ``source`` as it was; ``None`` where it was not there, or its plan was not."""
    from archlint import engine
    from archlint.core.report import Report, Unchecked
    from archlint.plans import PlanError, read_plan_file

    options, today = question.options, Path(source)
    place = then.places.get(today, today)
    file = options.plan_file
    was = None if file is None else then.places.get(file.path, file.path)
    if place is None or (file is not None and was is None):
        return None
    named = {}
    if today in then.places:
        named[str(place)] = str(Path(source).absolute())  # as code is named
    if file is not None and file.path in then.places:
        named[str(was)] = str(file.path)
    try:
        options = dataclasses.replace(options, plan_file=None if was is None else read_plan_file(was))
    except PlanError as error:
        return _renamed(Report(source, unchecked=(Unchecked("the plan", str(error)),)), named)
    with progress() as tell:
        staged = dataclasses.replace(options, progress=functools.partial(tell, f"{source} as it was"))
        report = engine.check(str(place) if today in then.places else source, staged)
    return dataclasses.replace(_renamed(report, named), source=source)


def _renamed(report: Report, named: Mapping[str, str]) -> Report:
    """``report`` with the files of today in place of those that hold what was in them."""

    def today(text: str) -> str:
        for before, after in named.items():
            text = text.replace(before, after)
        return text

    def renamed(finding: Finding) -> Finding:
        location, line = finding.location, finding.plan_line
        return dataclasses.replace(
            finding,
            location=None if location is None else dataclasses.replace(location, file=today(location.file)),
            plan_line=None if line is None else dataclasses.replace(line, file=today(line.file)),
        )

    unchecked = (dataclasses.replace(item, why=today(item.why)) for item in report.unchecked)
    return dataclasses.replace(report, findings=tuple(map(renamed, report.findings)), unchecked=tuple(unchecked))
