"""What an engine is given and what it gives back. De-duplication, order, files and resuming are no business of its."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Task:
    """One model to be checked."""

    number: int
    """Its place in the list; no two tasks of a run have the same."""
    name: str
    """What a person is shown while it runs."""
    job: bytes
    """What :func:`archlint.scanning.jobs.answer` turns into a report, in whatever process it is called."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a task."""

    number: int
    document: Mapping[str, Any] | None
    """The report's document (``archlint/report/v1``); ``None`` where there is none."""
    lost: str = ""
    """Why there is none."""
    seconds: float = 0.0
    """Processor time that it took, children of its process included."""


class Engine(Protocol):
    """Runs tasks, several at a time, and answers for each exactly once, in whatever order they end.

    Results are the same bytes with every engine where models are checked in the environment of
    :func:`archlint.scanning.launching.environment`.
    """

    def run(self, tasks: Iterator[Task | None]) -> Generator[Outcome | None, None, None]:
        """The outcomes of ``tasks``.

        Tasks are taken when there is room for one. ``None`` among them means that none is at hand yet: outcomes go on,
        and the engine asks again soon. ``None`` among the outcomes is a sign of life, given a few times a second.
        Closing the iterator ends all that runs.
        """
        ...

    def running(self) -> list[str]:
        """Names of what runs just now, the one that began first in front."""
        ...
