"""A file of results that survives a kill at any moment.

Each line is appended by one write, in the order in which models are done. When all are, the file is replaced by one in
the order of the list. A line that was cut by a kill is dropped when the scan is resumed, and its model scanned again.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from archlint.scanning.index import Index, Place
from archlint.scanning.lines import HEAD, MARK
from archlint.scanning.told import Told

try:
    import fcntl
except ImportError:  # a system without: two scans on one file are not told apart there
    fcntl = None  # type: ignore[assignment]

_SYNCED_EACH = 5.0
"""Seconds of work that a loss of power may cost."""
_COPIED = 2**20


class ResultFileError(Exception):
    """A file cannot hold the results of this scan; the message says why."""


class ResultFile:
    """The results of a scan in a file, which is locked as long as this is open.

    Args:
        path: of the file.
        index: learns where each result is.

    Raises:
        ResultFileError: it cannot be opened, is in use, or holds something else than results of a scan; or there are
            such results, and ``resume`` is not asked for.
    """

    def __init__(self, path: Path, index: Index, *, resume: bool) -> None:
        self._path = Path(os.path.realpath(path))
        self._shown = path
        self._index = index
        self._synced = time.monotonic()
        self.dropped = 0
        """Broken lines that were found, whose models are scanned again."""
        if path.exists() and not path.is_file():  # before links are followed: those of /dev/stdout lead nowhere
            raise self._no_file()
        self._descriptor = self._opened()
        try:
            self._ordered.unlink(missing_ok=True)  # of a scan that was killed while it wrote that
            self._end = self._read(resume)
        except OSError as error:
            self.close()
            raise self._failed(error) from error
        except BaseException:
            self.close()
            raise

    def append(self, id: bytes, line: bytes) -> None:
        """Add the result of an entry.

        Raises:
            ResultFileError: it cannot be written.
        """
        try:
            self._write(line)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._end)
            raise self._failed(error) from error
        self._index.put(id, self._end, len(line))
        self._end += len(line)
        if time.monotonic() >= self._synced + _SYNCED_EACH:
            self.sync()

    def sync(self) -> None:
        """See to it that what was written is on the disk.

        Raises:
            ResultFileError: it cannot be there.
        """
        try:
            os.fsync(self._descriptor)
        except OSError as error:  # where a file system on a network finds only now that it has no room
            raise self._failed(error) from error
        self._synced = time.monotonic()

    def order(self) -> None:
        """Put the results in the order of the list, those of entries that it lacks behind them.

        Raises:
            ResultFileError: there is no room for the file in order; this one stays as it is.
        """
        self.sync()
        if self._is_in_order():
            return
        try:
            self._write_in_order()
            self._ordered.replace(self._path)
        except OSError as error:
            with contextlib.suppress(OSError):
                self._ordered.unlink()
            raise self._failed(error) from error
        with contextlib.suppress(OSError, AttributeError):  # a system that has no such thing for folders
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def close(self) -> None:
        os.close(self._descriptor)

    @property
    def _ordered(self) -> Path:
        return self._path.with_name(f".{self._path.name}.ordered")

    def _failed(self, error: OSError) -> ResultFileError:
        return ResultFileError(f"{self._shown}: {error.strerror or error}")

    def _no_file(self) -> ResultFileError:
        return ResultFileError(f"{self._shown} is no file: leave it out, and results go to standard output")

    def _something_else(self) -> ResultFileError:
        return ResultFileError(f"{self._shown} holds something else than the results of a scan")

    def _opened(self) -> int:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
        while True:
            try:
                descriptor = os.open(self._path, flags, 0o666)
            except OSError as error:
                raise self._failed(error) from error
            try:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode):
                    raise self._no_file()
                _lock(descriptor)
                if os.path.samestat(status, self._path.stat()):
                    return descriptor
            except BlockingIOError as error:
                os.close(descriptor)
                raise ResultFileError(f"{self._shown}: another scan writes there just now") from error
            except FileNotFoundError:
                pass
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)  # it was replaced before it was locked

    def _read(self, resume: bool) -> int:
        """Find the results that are there; the end of the last one."""
        if not resume and os.fstat(self._descriptor).st_size:
            raise ResultFileError(
                f"{self._shown} is there already: --resume goes on with it; for a new scan, delete it or name another"
            )
        end = 0
        with open(self._descriptor, "rb", closefd=False) as file:
            file.seek(0)
            if not _may_be_ours(file.read(len(HEAD))):
                raise self._something_else()
            file.seek(0)
            for line in file:
                if not line.endswith(b"\n"):
                    self.dropped += 1
                    break
                self._found(line, end)
                end += len(line)
        os.ftruncate(self._descriptor, end)
        return end

    def _found(self, line: bytes, offset: int) -> None:
        try:
            document: Any = json.loads(line)
        except (ValueError, RecursionError):
            self.dropped += 1
            return
        try:
            mark = document[MARK]
            place = Place(offset, len(line), mark["digest"], Told.of(document).dumped())
            self._index.there_is(bytes.fromhex(mark["entry"]), place)
        except (KeyError, TypeError, ValueError) as error:
            raise self._something_else() from error

    def _write(self, line: bytes) -> None:
        rest = memoryview(line)
        while rest:  # one write is all, unless the disk is about to be full
            rest = rest[os.write(self._descriptor, rest) :]

    def _is_in_order(self) -> bool:
        end = 0
        for offset, length in self._index.in_order():
            if offset != end:
                return False
            end += length
        return end == self._end

    def _write_in_order(self) -> None:
        mode = stat.S_IMODE(os.fstat(self._descriptor).st_mode)
        with self._ordered.open("wb", buffering=_COPIED) as ordered, self._path.open("rb") as file:
            self._ordered.chmod(mode)
            for line in self._lines(file):
                ordered.write(line)
            ordered.flush()
            os.fsync(ordered.fileno())

    def _lines(self, file: IO[bytes]) -> Iterator[bytes]:
        for offset, length in self._index.in_order():
            file.seek(offset)
            yield file.read(length)


def _lock(descriptor: int) -> None:
    """Keep other scans from a file.

    Raises:
        BlockingIOError: another one is at it.
    """
    if fcntl is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:  # a file system without locks, as some on a network are
            pass


def _may_be_ours(beginning: bytes) -> bool:
    """Whether a file that begins so may hold results, or what a loss of power has left of them: zeros, or nothing."""
    return beginning == HEAD[: len(beginning)] or not beginning.strip(b"\0")
