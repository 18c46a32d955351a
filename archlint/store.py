"""Results by what they depend on, in a folder of the user's cache directory.

A store may forget at any time: whatever the disk does costs a re-run and nothing else. What is in it is plain content
that its reader interprets: no entry names code or another file.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
import zlib
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

FOLDER, SIZE = "ARCHLINT_CACHE_DIR", "ARCHLINT_CACHE_LIMIT"
"""Variables that say where the cache is, and how large results in it may get."""
LIMIT = 2**30
"""Bytes that a folder may hold unless told otherwise."""
_SIZE = re.compile(r"(\d{1,15}) ?(?:([KMGT])(I)?)?B?", re.ASCII | re.IGNORECASE)

_RESULT, _UNFINISHED = ".result", ".unfinished"
"""Suffixes of entries, and of what is to become one."""
_TALLY = "written"
"""The file that grows by a byte for each kilobyte written since the folder was last looked through."""
_TALLIED = 1024
_PART = 16
"""A folder is looked through when this part of its limit was written, and then brought down by as much."""
_DAY, _HOUR = 24 * 3600, 3600
"""Seconds: an entry counts as used once a day, and a file that nobody finishes within the hour is nobody's."""

_MAGIC = b"archlint result\x01"
_DIGEST = 16
_PLAIN, _COMPRESSED = b"\0", b"\1"
_HEAD = len(_MAGIC) + _DIGEST + 1 + 8
"""Bytes before the content: what it is, the digest of the key and all that follows, whether it is compressed, its
length when it is not."""

_READ = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
"""What is a link or a pipe is no entry, and nothing is waited for."""
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)

_BESIDE = {
    "CACHEDIR.TAG": "Signature: 8a477f597d28d172789f06886806bc55\n# Results of archlint: https://bford.info/cachedir/\n",
    ".gitignore": "*\n",
}
"""What tells backups and git that a folder is a cache."""


class Usage(NamedTuple):
    """What a store holds, or held."""

    entries: int
    bytes: int
    """Of files, with those that a killed writer left."""


class LimitError(ValueError):
    """A text is no size; the message says what is."""


def default_folder() -> Path:
    """Where results are kept: the folder ``results`` of archlint's cache.

    That is ``ARCHLINT_CACHE_DIR``, else ``archlint`` in the platform's place for caches. Where there is no home either,
    it is a path at which nothing can be.
    """
    return _cache() / "results"


def _cache() -> Path:
    if named := os.environ.get(FOLDER):
        return Path(os.path.expanduser(named))  # noqa: PTH111 (which raises nothing)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or os.path.expanduser(r"~\AppData\Local")  # noqa: PTH111
    elif sys.platform == "darwin":
        base = os.path.expanduser("~/Library/Caches")  # noqa: PTH111
    else:
        base = os.environ.get("XDG_CACHE_HOME", "")
        base = base if Path(base).is_absolute() else os.path.expanduser("~/.cache")  # noqa: PTH111
    return Path(base if Path(base).is_absolute() else os.devnull) / "archlint"


def default_limit() -> int:
    """Bytes that a folder may hold: :func:`chosen_limit`, or :data:`LIMIT` where what was chosen is no size."""
    try:
        return chosen_limit()
    except LimitError:
        return LIMIT


def chosen_limit() -> int:
    """The bytes of ``ARCHLINT_CACHE_LIMIT``, a size such as ``500M``, ``2 GB`` or ``1GiB``; else :data:`LIMIT`.

    Raises:
        LimitError: it is no size.
    """
    text = os.environ.get(SIZE, "").strip()
    if not text:
        return LIMIT
    size = _SIZE.fullmatch(text)
    if size is None:
        raise LimitError(f"{text!r} is no size, such as 500M or 2GiB")
    number, unit, binary = size.groups()
    base = 1024 if binary else 1000
    return int(number) * int(base ** ("KMGT".index(unit.upper()) + 1 if unit else 0))


class Store:
    """Results by what they depend on, in a folder of the user's cache directory.

    Any number of processes may use one folder at once. Entries that were not used for longest go first; an entry is
    used when it is written, and once a day when it is read.

    Args:
        folder: made when something is first put into it. Other files in it are left alone.
        limit: bytes that it may hold. An entry larger than that is not kept.
    """

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        self.folder = folder
        self.limit = limit

    def get(self, key: str) -> bytes | None:
        """What was put under ``key``; ``None`` where nothing is, or it is not whole, or cannot be read."""
        path = self._path(key)
        try:
            written, used = _read(path)
        except OSError:
            return None
        content = _unpacked(key, written)
        with contextlib.suppress(OSError):
            if content is None:
                path.unlink()
            elif time.time() - used > _DAY:
                os.utime(path)
        return content

    def put(self, key: str, content: bytes) -> None:
        """Keep ``content`` under ``key``, where that can be done. A reader sees all of it, or what was there before."""
        path = self._path(key)
        written = _packed(key, content)
        if len(written) > self.limit:
            return
        with contextlib.suppress(OSError):
            unfinished = self.folder / f"{key}.{os.urandom(8).hex()}{_UNFINISHED}"
            try:
                _write(self._made(unfinished), written)
                unfinished.replace(path)
            except BaseException:
                with contextlib.suppress(OSError):
                    unfinished.unlink()
                raise
            self._mark()
            if self._is_due(len(written)):
                self._make_room(path)

    def usage(self) -> Usage:
        """What it holds now."""
        files = list(self._files())
        return Usage(sum(path.suffix == _RESULT for path, _ in files), sum(at.st_size for _, at in files))

    def clear(self) -> Usage:
        """Remove all entries; gives what was removed."""
        entries = size = 0
        for path, at in list(self._files()):
            with contextlib.suppress(OSError):
                path.unlink()
                entries += path.suffix == _RESULT
                size += at.st_size
        return Usage(entries, size)

    def _path(self, key: str) -> Path:
        if not (key.isascii() and key.isalnum()):
            raise ValueError(f"{key!r} is no key")
        return self.folder / f"{key}{_RESULT}"

    def _made(self, path: Path) -> int:
        """A new file at ``path``, open for writing, in a folder that is made where it is not there."""
        try:
            return os.open(path, _CREATE, 0o600)
        except FileNotFoundError:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return os.open(path, _CREATE, 0o600)

    def _mark(self) -> None:
        for name, text in _BESIDE.items():
            with contextlib.suppress(FileExistsError):
                _write(os.open(self.folder / name, _CREATE, 0o600), text.encode())

    def _is_due(self, written: int) -> bool:
        """Whether the folder is to be looked through, now that as many bytes more were written."""
        tally = os.open(self.folder / _TALLY, _APPEND, 0o600)
        try:
            os.write(tally, bytes(written // _TALLIED + 1))
            return os.fstat(tally).st_size * _TALLIED > self.limit // _PART
        finally:
            os.close(tally)

    def _make_room(self, newest: Path) -> None:
        """Remove what was not used for longest, but never ``newest``, so that a part of the limit is free."""
        os.truncate(self.folder / _TALLY, 0)
        files = sorted(self._files(), key=lambda file: file[1].st_mtime_ns)
        abandoned = time.time() - _HOUR
        over = sum(at.st_size for _, at in files) - (self.limit - self.limit // _PART)
        for path, at in files:
            is_left_over = path.suffix == _UNFINISHED and at.st_mtime < abandoned
            if is_left_over or (over > 0 and path.suffix == _RESULT and path != newest):
                with contextlib.suppress(OSError):  # another process may have done so
                    path.unlink()
                over -= at.st_size

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        """The files that are the store's."""
        try:
            with os.scandir(self.folder) as found:
                for file in found:
                    if file.name.endswith((_RESULT, _UNFINISHED)) and not file.is_dir(follow_symlinks=False):
                        with contextlib.suppress(FileNotFoundError):
                            yield Path(file.path), file.stat(follow_symlinks=False)
        except OSError:
            return


def usual() -> Store | None:
    """Where the user's environment has results kept; ``None`` where it says that nothing is to be."""
    limit = default_limit()
    return Store(default_folder(), limit) if limit else None


def _read(path: Path) -> tuple[bytes, float]:
    """The bytes of a file, and when it was last written or used, in seconds since 1970."""
    descriptor = os.open(path, _READ)
    try:
        at = os.fstat(descriptor)
        return os.read(descriptor, at.st_size), at.st_mtime
    finally:
        os.close(descriptor)


def _write(descriptor: int, content: bytes) -> None:
    """Write all of ``content``, and close the file."""
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    finally:
        os.close(descriptor)


def _packed(key: str, content: bytes) -> bytes:
    compressed = zlib.compress(content, 1)
    how, body = (_COMPRESSED, compressed) if len(compressed) < len(content) else (_PLAIN, content)
    rest = how + len(content).to_bytes(8, "big") + body
    return _MAGIC + _digest(key, rest) + rest


def _unpacked(key: str, written: bytes) -> bytes | None:
    """The content; ``None`` if ``written`` is not what :func:`_packed` made for this key."""
    digest, rest = written[len(_MAGIC) : len(_MAGIC) + _DIGEST], written[len(_MAGIC) + _DIGEST :]
    if not written.startswith(_MAGIC) or len(written) < _HEAD or digest != _digest(key, rest):
        return None
    how, length, body = rest[:1], int.from_bytes(rest[1:9], "big"), rest[9:]
    if how == _COMPRESSED:
        try:
            body = zlib.decompressobj().decompress(body, length + 1)
        except (zlib.error, OverflowError):
            return None
    return body if len(body) == length else None


def _digest(key: str, rest: bytes) -> bytes:
    digest = blake2b(key.encode() + b"\0", digest_size=_DIGEST)
    digest.update(rest)
    return digest.digest()
