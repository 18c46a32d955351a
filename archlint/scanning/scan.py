"""A scan: entries of a list are found, those alike are joined, the others run, and each gets its line."""

from __future__ import annotations

import json
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from archlint.core.report import Report
from archlint.report.values import DocumentError
from archlint.scanning import jobs, lines
from archlint.scanning.ahead import Calls, Reading
from archlint.scanning.entries import Entry
from archlint.scanning.index import Index
from archlint.scanning.results import Results
from archlint.scanning.tasks import Engine, Outcome, Task
from archlint.scanning.told import Tally, Told

if TYPE_CHECKING:
    from archlint.options import Options

_LOCATED_AHEAD = 64
_LOCATING = 16
"""Threads: most of their time they wait for a hub."""
_MOST_WAITING = 20_000
"""Entries that wait for one alike: where there are as many, no more are read."""
_TURN = 0.05
"""Seconds for which results of what need not be run are put before the engine is heard again."""
_OVERHEAD = 500
_KEPT = 64 * 2**20
"""Characters of reports that are kept for entries alike."""


class MixedError(Exception):
    """A file holds results that were made with other options or versions: the message names one."""


@dataclass(frozen=True, slots=True)
class Found:
    """A source whose architecture is known."""

    located: Any
    """What is checked, and can be pickled."""
    key: str | None
    """What sources have in common whose reports differ in nothing but their names; ``None``: with no other."""
    known: Report | None = None
    """The report on it, without its name, where an earlier check left one."""


@dataclass(frozen=True)
class Identity:
    """How sources are found, and checked."""

    locate: Callable[[Entry, Options], Found | Report]
    """Finds the source of an entry; a report where there is none to be checked. Called in several threads."""
    check: Callable[[Any, Options], Report]
    """The report on what was located, without its name. Called in another process."""
    named: Callable[[Report, Any], Report]
    """Such a report, which may be that of another source with the same key, as that of what was located."""


@dataclass(frozen=True, slots=True)
class _Work:
    """An entry that is to be scanned."""

    number: int
    entry: Entry
    options: Options
    digest: str
    found: Found | None = None


class _Known(NamedTuple):
    """What came of something that was run."""

    document: str
    """Of the report without a name, as JSON; empty where it was lost."""
    lost: str

    @property
    def size(self) -> int:
        """About how much memory it takes."""
        return len(self.document) + _OVERHEAD


@dataclass
class Progress:
    """How far a scan is."""

    tally: Tally = field(default_factory=Tally)
    resumed: int = 0
    """Models whose results were there already."""
    alike: int = 0
    """Models that were not run, as one alike was."""
    cached: int = 0
    """Models that were not run, as earlier checks left their reports."""
    twice: int = 0
    """Names that the list has more than once."""
    run: int = 0
    """Models that were run."""
    seconds: float = 0.0
    """Processor time that these took."""
    began: float = field(default_factory=time.monotonic)

    @property
    def elapsed(self) -> float:
        """Seconds since the scan began."""
        return time.monotonic() - self.began

    @property
    def rate(self) -> float:
        """Models a second, less those whose results were there already."""
        return (self.tally.models - self.resumed) / max(self.elapsed, 1e-9)


class Scan:
    """One scan.

    Args:
        entries: those of the list that are to be scanned.
        options: what is asked of a source, by its name.
        identity: finds and checks sources.
        engine: runs what must be run.
        results: takes the lines.
        index: knows what is in the file of results.
        told_twice: told the name of each source that the list has again.
    """

    def __init__(
        self,
        entries: Reading[Entry],
        *,
        options: Callable[[str], Options],
        identity: Identity,
        engine: Engine,
        results: Results,
        index: Index,
        told_twice: Callable[[str], None],
    ) -> None:
        self._entries = entries
        self._options = options
        self._identity = identity
        self._engine = engine
        self._results = results
        self._index = index
        self._told_twice = told_twice
        self._locating: Calls[_Work, Found | Report] = Calls(self._located, _LOCATING)
        self._tasks: dict[int, _Work] = {}
        """Work that the engine has, by the number of its task."""
        self._alike: dict[str, list[_Work]] = {}
        """For each key that runs, what waits for it."""
        self._waiting = 0
        self._due: deque[tuple[_Work, _Known]] = deque()
        """What waited, and what came of the one that ran."""
        self._known: OrderedDict[str, _Known] = OrderedDict()
        """For keys that were run, what came of it, the one that was of use last at the end."""
        self._kept = 0
        """Characters of these."""
        self._digests: dict[int, tuple[Options, str]] = {}
        self._numbers = 0
        self.progress = Progress()

    def run(self) -> Generator[None, None, None]:
        """Scan. A sign of life is given a few times a second, and closing the iterator ends what runs.

        Raises:
            MixedError: see there.
            ResultFileError: results cannot be written.
            LaunchError: nothing can be run.
        """
        outcomes = self._engine.run(self._to_do())
        try:
            for outcome in outcomes:
                if outcome is not None:
                    self._take(outcome)
                yield
                self._put_alike()
        finally:
            outcomes.close()
        while self._due:
            self._put_alike()
            yield
        self._results.finish()

    def running(self) -> list[str]:
        """What runs just now."""
        return self._engine.running()

    def _to_do(self) -> Iterator[Task | None]:
        until = time.monotonic() + _TURN
        while True:
            self._look_ahead()
            found = self._locating.take()
            if found is not None:
                task = self._task(*found)
                if task is not None or time.monotonic() >= until:
                    yield task
                    until = time.monotonic() + _TURN
            elif self._entries.is_over and not self._locating.pending:
                return
            else:
                yield None

    def _look_ahead(self) -> None:
        """Read the list, and have its sources located, as far as is worth while."""
        while self._locating.pending < _LOCATED_AHEAD and self._waiting < _MOST_WAITING:
            entry = self._entries.take()
            if entry is None:
                return
            self._meet(entry)

    def _meet(self, entry: Entry) -> None:
        if not self._index.is_new(entry.id, self._numbers):
            self.progress.twice += 1
            self._told_twice(entry.source)
            return
        options = self._options(entry.source)
        source = replace(
            options.source,
            revision=entry.revision or options.source.revision,
            subfolder=entry.subfolder or options.source.subfolder,
        )
        work = _Work(self._numbers, entry, replace(options, source=source), self._digest(options))
        self._numbers += 1
        place = self._index.place(entry.id)
        if place is None:
            self._locating.give(work)
        elif place.digest != work.digest:
            raise MixedError(entry.source)
        else:
            self.progress.resumed += 1
            self.progress.tally.add(Told.loaded(place.told))

    def _digest(self, options: Options) -> str:
        """Of ``options``, which most often are the same object."""
        if id(options) not in self._digests:
            self._digests = {id(options): (options, lines.digest(options))}
        return self._digests[id(options)][1]

    def _located(self, work: _Work) -> Found | Report:
        if work.entry.problem:
            return lines.lost(work.entry.source, work.entry.problem, work.options)
        try:
            return self._identity.locate(work.entry, work.options)
        except Exception as error:
            why = f"archlint itself failed: {type(error).__name__}: {error}"
            return lines.lost(work.entry.source, why, work.options)

    def _task(self, work: _Work, found: Found | Report) -> Task | None:
        """What is to be run for a source; ``None`` where there is nothing to run."""
        if isinstance(found, Report):
            self._put(work, found)
            return None
        work = replace(work, found=found)
        if found.known is not None:
            self.progress.cached += 1
            self._put(work, self._identity.named(found.known, found.located))
            return None
        if (key := _key(work)) is not None:
            if key in self._known:
                self._known.move_to_end(key)
                self.progress.alike += 1
                self._put_known(work, self._known[key])
                return None
            if key in self._alike:
                self._alike[key].append(work)
                self._waiting += 1
                return None
            self._alike[key] = []
        self._tasks[work.number] = work
        return Task(work.number, work.entry.source, jobs.pack(self._identity.check, found.located, work.options))

    def _take(self, outcome: Outcome) -> None:
        work = self._tasks.pop(outcome.number)
        key = _key(work)
        alike = [] if key is None else self._alike.pop(key)
        self.progress.run += 1
        self.progress.seconds += outcome.seconds
        known = _Known("" if outcome.document is None else json.dumps(outcome.document), outcome.lost)
        self._put_known(work, known)
        self._due.extend((one, known) for one in alike)
        if key is not None:
            self._keep(key, known)

    def _put_alike(self) -> None:
        """Put some of what waited: the engine has to look after what runs meanwhile."""
        until = time.monotonic() + _TURN
        while self._due:
            self._put_known(*self._due.popleft())
            self._waiting -= 1
            self.progress.alike += 1
            if time.monotonic() >= until:
                return

    def _put_known(self, work: _Work, known: _Known) -> None:
        """Put what came of it, or of what is alike."""
        assert work.found is not None  # or nothing would have been run
        lost = known.lost
        if known.document:
            try:
                self._put(work, self._identity.named(lines.report(known.document), work.found.located))
                return
            except DocumentError as error:  # a report that is larger than any model's
                lost = f"its report cannot be read: {error}"
        self._put(work, lines.lost(work.entry.source, lost, work.options))

    def _put(self, work: _Work, report: Report) -> None:
        document = lines.document(report)
        self._results.put(work.number, work.entry.id, lines.line(document, work.entry.id, work.digest))
        self.progress.tally.add(Told.of(document))

    def _keep(self, key: str, known: _Known) -> None:
        """Remember what came of it for entries alike, and forget what was of no use for longest."""
        self._known[key] = known
        self._kept += known.size
        while self._kept > _KEPT:
            _, forgotten = self._known.popitem(last=False)
            self._kept -= forgotten.size


def _key(work: _Work) -> str | None:
    """What it has in common with all work whose report differs in nothing but the name."""
    if work.found is None or work.found.key is None:
        return None
    return f"{work.found.key} {work.digest}"
