"""Threads that do ahead of time what takes long to come: lines of a list, answers of the hub.

They are daemons: what they wait for keeps no command from ending.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")


class Reading(Generic[T]):
    """Items of an iterator, read in a thread of its own, a bounded number ahead."""

    def __init__(self, items: Iterator[T], ahead: int) -> None:
        self._items = items
        self._queue: queue.Queue[T | BaseException | None] = queue.Queue(ahead)
        self.is_over = False
        """Whether the last item was taken."""
        threading.Thread(target=self._read, daemon=True).start()

    def take(self) -> T | None:
        """The next item; ``None`` where it is not there yet, or there is no more.

        Raises:
            BaseException: what the iterator raised.
        """
        if self.is_over:
            return None
        try:
            item = self._queue.get_nowait()
        except queue.Empty:
            return None
        if item is None:
            self.is_over = True
        elif isinstance(item, BaseException):
            self.is_over = True
            raise item
        return item

    def _read(self) -> None:
        try:
            for item in self._items:
                self._queue.put(item)
        except BaseException as error:  # raised again where items are taken
            self._queue.put(error)
        else:
            self._queue.put(None)


class Calls(Generic[A, B]):
    """Calls of one function in several threads, given back as they end.

    Args:
        function: called with each item; must raise nothing.
        threads: how many.
    """

    def __init__(self, function: Callable[[A], B], threads: int) -> None:
        self._function = function
        self._given: queue.SimpleQueue[A] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[A, B]] = queue.SimpleQueue()
        self.pending = 0
        """Calls that were given, and whose results were not taken yet."""
        self._threads = threads
        self._started = 0

    def give(self, item: A) -> None:
        """Have the function called with ``item``."""
        self.pending += 1
        if self._started < min(self._threads, self.pending):
            self._started += 1
            threading.Thread(target=self._work, daemon=True).start()
        self._given.put(item)

    def take(self) -> tuple[A, B] | None:
        """An item and its result, where one is there that was not taken yet."""
        try:
            done = self._done.get_nowait()
        except queue.Empty:
            return None
        self.pending -= 1
        return done

    def _work(self) -> None:
        while True:
            item = self._given.get()
            self._done.put((item, self._function(item)))
