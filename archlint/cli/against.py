"""``--against``: what is checked as it was at a revision of the git repository, beside what it is today."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from archlint.cli.commands import option

if TYPE_CHECKING:
    from archlint.cli.questions import Question
    from archlint.core.comparison import Difference
    from archlint.core.report import Report, Run
    from archlint.revisions import Past

F = TypeVar("F", bound=Callable[..., Any])

_ALONE = ("baseline", "write-baseline", "fix", "diff")


def against_option(section: str) -> Callable[[F], F]:
    """``--against``."""
    return option(
        "--against", metavar="REV", help="What is new and mended since that revision of git.", section=section
    )


def check_alone(ctx: click.Context) -> None:
    """Find out whether the command line gives ``--against`` with what has another idea of what is new.

    Raises:
        click.UsageError: it does.
    """
    for name in _ALONE:
        if ctx.get_parameter_source(name.replace("-", "_")) is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--against says what is new since a revision, and takes no --{name}.")


@contextlib.contextmanager
def earlier(revision: str, questions: Mapping[str, Question]) -> Iterator[Callable[[Run], Difference]]:
    """Within the block there is what tells a run over the sources of ``questions`` from one at ``revision``.

    Files of models and of plans are taken from there; what is not in the repository (a model of the hub, an installed
    package), the rules and the settings are as they are today.

    Raises:
        click.UsageError: nothing that is checked is in a git repository, or there is no such revision.
    """
    from archlint.report.quoting import one_line
    from archlint.revisions import RevisionError, lack, past

    files = (question.options.plan_file for question in questions.values())
    named = [path for source in questions for path in _folders(source)]
    lacks = {path: lack(path) for path in (*named, *(file.path for file in files if file is not None))}
    paths = [path for path, why in lacks.items() if not why]
    if not paths:
        whys = "".join(f": {one_line(why)}" for why in list(lacks.values())[:1])
        raise click.UsageError(
            f"--against needs git: none of the models and plans is a file in one of its repositories{whys}."
        )
    try:
        with past(revision, paths) as then:
            yield lambda run: _difference(then, questions, run)
    except RevisionError as error:
        raise click.UsageError(f"--against: {error}.") from error


def _folders(source: str) -> Iterator[Path]:
    """The folders that a source is read from: its own, and that of the base model of an adapter beside it."""
    from archlint import published
    from archlint.revisions import RevisionError, repository
    from archlint.sources import SourceError

    if (folder := _folder(source)) is None:
        return
    yield folder
    with contextlib.suppress(SourceError, RevisionError):
        adapter = published.find(source)
        base = None if adapter is None else _folder(adapter.base)
        if base is not None and repository(base) == repository(folder):
            yield base


def _folder(source: str) -> Path | None:
    """The folder of a source, with the model's own code where that is a file; ``None`` where it is no path."""
    from archlint.sources import SourceError, local

    with contextlib.suppress(SourceError):
        if local.exists(source):
            path = Path(source).expanduser()
            return path if path.is_dir() else path.parent
    return None


def _difference(then: Past, questions: Mapping[str, Question], run: Run) -> Difference:
    from archlint import engine
    from archlint.core.comparison import Difference

    if then.unchanged:
        return Difference.of(run, run)
    found = {source: _before(then, source, question) for source, question in questions.items()}
    before = (found[report.source] for report in run.reports)  # a source may be given twice
    return Difference.of(engine.finished(report for report in before if report is not None), run)


def _before(then: Past, source: str, question: Question) -> Report | None:
    """What is said of ``source`` as it was; ``None`` where it was not there, or its plan was not."""
    import dataclasses

    from archlint import engine
    from archlint.cli.progress import progress
    from archlint.core.report import Report, Unchecked
    from archlint.plans import PlanError, read_plan_file

    options, place = question.options, _place(then, source)
    file = options.plan_file
    was = None if file is None else then.places.get(file.path, file.path)
    if place is None or (file is not None and was is None):
        return None
    try:
        options = dataclasses.replace(options, plan_file=None if was is None else read_plan_file(was))
    except PlanError as error:
        return _renamed(Report(source, unchecked=(Unchecked("the plan", str(error)),)), then)
    with progress() as tell:
        staged = dataclasses.replace(options, progress=functools.partial(tell, f"{source} as it was"))
        report = engine.check(place, staged)
    return dataclasses.replace(_renamed(report, then), source=source)


def _place(then: Past, source: str) -> str | None:
    """What holds ``source`` as it was; ``None`` where it was not there."""
    folder = _folder(source)
    if folder is None or folder not in then.places:
        return source
    if (before := then.places[folder]) is None:
        return None
    place = before / Path(source).expanduser().relative_to(folder)
    return str(place) if os.path.lexists(place) else None


def _renamed(report: Report, then: Past) -> Report:
    """``report`` with the files of today in place of those that hold what was in them."""
    from archlint.cli.here import renamed

    places = [(str(place), path) for path, place in then.places.items() if place is not None]
    places.sort(key=lambda entry: len(entry[0]), reverse=True)  # what is inside of another comes first

    def today(text: str, *, is_code: bool = False) -> str:
        for place, path in places:
            named = path.absolute() if is_code else path
            inside = "" if named == Path() else f"{named}/"
            text = text.replace(f"{place}/", inside).replace(place, str(named))
        return text

    return renamed(report, today, functools.partial(today, is_code=True))
