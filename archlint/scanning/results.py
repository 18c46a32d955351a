"""Where results go: a stream, in the order of the list, or a file."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Protocol

from archlint.scanning.files import ResultFile

_IN_MEMORY = 8 * 2**20


class Results(Protocol):
    """Takes each result once, by the number of its entry (from 0, without gaps) and the entry's id."""

    def put(self, number: int, id: bytes, line: bytes) -> None: ...

    def finish(self) -> None:
        """All entries have their results."""
        ...

    def stop(self) -> None:
        """No more will come."""
        ...


class InFile:
    """Results in a file, there as soon as they are put."""

    def __init__(self, file: ResultFile) -> None:
        self._file = file

    def put(self, number: int, id: bytes, line: bytes) -> None:
        self._file.append(id, line)

    def finish(self) -> None:
        self._file.order()

    def stop(self) -> None:
        self._file.sync()


class InOrder:
    """Results in a stream, in the order of their numbers: those that are early wait, on disk where they are many.

    Args:
        emit: writes one.
    """

    def __init__(self, emit: Callable[[bytes], None]) -> None:
        self._emit = emit
        self._next = 0
        self._early: dict[int, tuple[int, int]] = {}
        """Offset and length of results that wait."""
        self._waiting = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115
        self._end = 0

    def put(self, number: int, id: bytes, line: bytes) -> None:
        if number != self._next:
            self._waiting.seek(self._end)
            self._waiting.write(line)
            self._early[number] = self._end, len(line)
            self._end += len(line)
            return
        self._emit(line)
        self._next += 1
        while self._next in self._early:
            self._emit(self._taken(self._next))
            self._next += 1
        if not self._early and self._end:
            self._waiting.truncate(0)
            self._end = 0

    def finish(self) -> None:
        self.stop()

    def stop(self) -> None:
        """Write what is done, though something in front of it is not."""
        for number in sorted(self._early):
            self._emit(self._taken(number))

    def close(self) -> None:
        self._waiting.close()

    def _taken(self, number: int) -> bytes:
        offset, length = self._early.pop(number)
        self._waiting.seek(offset)
        return self._waiting.read(length)
