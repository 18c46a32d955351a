"""Sharing tasks out among workers on the nodes of a cluster."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Collection, Generator, Iterator
from dataclasses import dataclass, field

from archlint.scanning.launching import LaunchError
from archlint.scanning.on_ray.cluster import Actor, Call, Cluster, GoneError, joined
from archlint.scanning.on_ray.worker import Setup
from archlint.scanning.processes import cores
from archlint.scanning.tasks import Outcome, Task

_TICK = 0.05
"""Seconds that are waited for an outcome at a time."""
_ASKED_AGAIN = 0.005
"""Seconds until a task is asked for again, where there was none at hand."""
_LOOKED_AGAIN = 2.0
"""Seconds until it is seen that a cluster has grown."""
_SHARE = 8
"""Processors of a worker, at most. All its models are forked from one server, which takes about half a GB; a smaller
worker finds its place sooner on nodes that others use too, and takes less with it where it dies."""
_DEATHS = 3
"""How many workers a task may see dying; before the last of them it runs in one alone."""
_STARTS = 3
"""How many workers in a row may die before they have begun."""

_PATIENCE = 7.0
"""Seconds that workers have to end what they started."""


@dataclass(slots=True)
class _Given:
    """A task, and how it went so far."""

    task: Task
    deaths: int = 0
    """Of workers that it ran on."""


@dataclass(slots=True, eq=False)
class _Hand:
    """A worker, as it is seen from here."""

    actor: Actor
    jobs: int
    beginning: Call
    has_begun: bool = False
    is_gone: bool = False
    calls: dict[Call, _Given] = field(default_factory=dict)
    """What runs on it."""
    kept_for: _Given | None = None
    """A task that is to run on it alone."""

    @property
    def pending(self) -> Collection[Call]:
        """Calls of it that go on."""
        return self.calls if self.has_begun else [self.beginning]

    @property
    def room(self) -> int:
        """How many tasks more it takes, now or once it has begun."""
        return 0 if self.is_gone or self.kept_for else self.jobs - len(self.calls)


class OnRay:
    """Runs tasks on a cluster's nodes; on each they run as :class:`archlint.scanning.processes.Processes` has it.

    Workers are asked for while there is work for more of them, be they given a place now, or when somebody else makes
    room, or when the cluster grows, as one that scales itself does because they wait. The tasks of one that dies, or
    whose node does, are given to others.

    Args:
        jobs: how many tasks at a time at most; ``None``: as many as the cluster has processors.
        setup: what workers are to be like.
    """

    def __init__(self, *, jobs: int | None, setup: Setup) -> None:
        self._jobs = jobs
        self._setup = setup
        self._hands: list[_Hand] = []
        self._waiting: deque[_Given] = deque()
        self._suspects: deque[_Given] = deque()
        """What is to run alone."""
        self._stillborn = 0
        self._processors: list[int] = []
        self._looked = float("-inf")

    def running(self) -> list[str]:
        return [given.task.name for hand in self._hands for given in hand.calls.values()]

    def run(self, tasks: Iterator[Task | None]) -> Generator[Outcome | None, None, None]:
        with joined(self._jobs or cores()) as cluster:
            try:
                yield from self._run(cluster, tasks)
            finally:
                self._end(cluster)

    def _run(self, cluster: Cluster, tasks: Iterator[Task | None]) -> Generator[Outcome | None, None, None]:
        more = True
        while True:
            is_waiting = False
            while more and not is_waiting and len(self._waiting) <= self._room():  # one more shows that it is short
                task = next(tasks, _OVER)
                if task is _OVER:
                    more = False
                elif isinstance(task, Task):
                    self._waiting.append(_Given(task))
                else:
                    is_waiting = True
                self._ask(cluster)
            self._ask(cluster)
            self._give(cluster)
            calls = {call: hand for hand in self._hands for call in hand.pending}
            if not more and not self._waiting and not self._suspects and not any(hand.calls for hand in self._hands):
                return
            for call in cluster.ended(calls, _ASKED_AGAIN if is_waiting else _TICK):
                if not calls[call].has_begun:
                    self._begun(cluster, calls[call])
                else:
                    yield from self._heard(cluster, calls[call], call)
            yield None

    def _room(self) -> int:
        return sum(hand.room for hand in self._hands)

    def _ask(self, cluster: Cluster) -> None:
        """Ask for workers, where there is more to do than those there are and those that wait for a place can take."""
        while len(self._waiting) + len(self._suspects) > self._room():
            share, most = self._bounds(cluster)
            jobs = min(share, most - sum(hand.jobs for hand in self._hands))
            if jobs < 1:
                return
            actor = cluster.ask_for(jobs)
            beginning = cluster.call(actor, "begin", self._setup, jobs)
            self._hands.append(_Hand(actor, jobs, beginning))

    def _bounds(self, cluster: Cluster) -> tuple[int, int]:
        """Processors of a worker, and of all together."""
        if time.monotonic() >= self._looked + _LOOKED_AGAIN:
            self._processors = cluster.processors()
            self._looked = time.monotonic()
        smallest = min(self._processors, default=1)
        share = smallest // -(-smallest // _SHARE)
        if self._jobs is not None:
            return share, self._jobs
        # one more than can have a place: a cluster that scales itself makes one for what waits
        return share, sum(self._processors) + (0 if cluster.is_own else share)

    def _give(self, cluster: Cluster) -> None:
        ready = [hand for hand in self._hands if hand.has_begun and not hand.is_gone]
        for hand in sorted(ready, key=lambda hand: len(hand.calls)):
            if self._suspects and hand.kept_for is None:
                hand.kept_for = self._suspects.popleft()
            if hand.kept_for is not None and not hand.calls:
                self._send(cluster, hand, hand.kept_for)
        while self._waiting and (free := [hand for hand in ready if hand.room]):
            self._send(cluster, max(free, key=lambda hand: hand.room), self._waiting.popleft())

    def _send(self, cluster: Cluster, hand: _Hand, given: _Given) -> None:
        has_path = os.path.exists(given.task.name)  # noqa: PTH110 (a name may be no path)
        hand.calls[cluster.call(hand.actor, "answer", given.task, has_path=has_path)] = given

    def _begun(self, cluster: Cluster, hand: _Hand) -> None:
        try:
            refused = cluster.result(hand.beginning)
        except GoneError as error:
            self._hands.remove(hand)
            cluster.kill(hand.actor)
            self._stillborn += 1
            if self._stillborn >= _STARTS:
                raise LaunchError(f"workers of the Ray cluster end before they have begun: {error}") from error
            return
        if refused:
            raise LaunchError(f"the Ray cluster would give other results: {refused}")
        hand.has_begun, self._stillborn = True, 0

    def _heard(self, cluster: Cluster, hand: _Hand, call: Call) -> Iterator[Outcome]:
        given = hand.calls.pop(call)
        try:
            yield cluster.result(call)
        except GoneError:
            hand.is_gone = True
            cluster.kill(hand.actor)  # it may be there still, and out of reach
            yield from self._again(given)
        hand.kept_for = None if hand.kept_for is given else hand.kept_for
        if hand.is_gone and not hand.calls:
            if hand.kept_for is not None:
                self._suspects.appendleft(hand.kept_for)
            self._hands.remove(hand)

    def _again(self, given: _Given) -> Iterator[Outcome]:
        """Have a task run once more, unless it has seen too many workers die."""
        given.deaths += 1
        if given.deaths >= _DEATHS:
            yield Outcome(given.task.number, None, f"each of {_DEATHS} Ray workers that it was given to has ended")
        elif given.deaths == _DEATHS - 1:
            self._suspects.append(given)
        else:
            self._waiting.appendleft(given)

    def _end(self, cluster: Cluster) -> None:
        """End what runs, and the workers."""
        ending = [cluster.call(hand.actor, "end") for hand in self._hands if hand.has_begun and not hand.is_gone]
        cluster.ended(ending, _PATIENCE, all=True)
        for hand in self._hands:
            cluster.kill(hand.actor)
        self._hands = []


_OVER = object()
