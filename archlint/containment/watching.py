"""What a process and all that it started take at the moment."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
from collections.abc import Iterator
from dataclasses import dataclass

import psutil  # type: ignore[import-untyped]

_ASLEEP = {psutil.STATUS_SLEEPING, psutil.STATUS_IDLE}


@dataclass(frozen=True, slots=True)
class Usage:
    """Of a process with its descendants."""

    memory: int = 0
    """Resident bytes."""
    threads: int = 0
    computed: float = 0.0
    """Seconds of processors."""
    is_asleep: bool = False
    """Whether none of them runs, or waits for a disk."""


def usage(pid: int) -> Usage:
    """What the process ``pid`` takes; nothing where it is gone."""
    memory, threads, computed, asleep = 0, 0, 0.0, True
    for process in _family(pid):
        with contextlib.suppress(psutil.Error), process.oneshot():
            times = process.cpu_times()
            memory += process.memory_info().rss
            threads += process.num_threads()
            computed += times.user + times.system
            asleep = asleep and process.status() in _ASLEEP
    return Usage(memory, threads, computed, asleep)


def kill(pid: int) -> None:
    """End the process ``pid``, which leads a group, with all that is left of what it started."""
    family = list(_family(pid))
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)
    for process in family:
        with contextlib.suppress(psutil.Error):
            process.kill()


def running_threads() -> int:
    """Processes and threads of this process's user; 0 where the system does not count them against root."""
    if os.geteuid() == 0:
        return 0
    count = 0
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.uids().real == os.getuid():
                count += process.num_threads()
    return count


@dataclass(frozen=True, slots=True)
class Content:
    """Of a folder."""

    size: int
    """Bytes of all files."""
    largest: int
    count: int
    is_hidden: bool
    """Whether there is something that cannot be looked at: it lies too deep, or may not be read."""


def content(folder: str, most: int) -> Content:
    """What lies in ``folder``; no more than ``most`` entries are looked at."""
    size, largest, count, is_hidden = 0, 0, 0, False
    due = [folder]
    while due and count <= most:
        try:
            with os.scandir(due.pop()) as entries:
                for entry in entries:
                    count += 1
                    if count > most:
                        break
                    with contextlib.suppress(FileNotFoundError):
                        state = entry.stat(follow_symlinks=False)
                        size += _taken(state)
                        largest = max(largest, state.st_size)
                        if stat.S_ISDIR(state.st_mode):
                            due.append(entry.path)
        except (FileNotFoundError, NotADirectoryError):  # taken away meanwhile
            continue
        except OSError:
            is_hidden = True
    return Content(size, largest, count, is_hidden)


def nameless(pid: int) -> int:
    """Bytes of the files that the process ``pid`` and its descendants have deleted, and still have open."""
    found: dict[tuple[int, int], int] = {}
    for process in _family(pid):
        with contextlib.suppress(OSError), os.scandir(f"/proc/{process.pid}/fd") as descriptors:
            for descriptor in descriptors:
                with contextlib.suppress(OSError):
                    state = descriptor.stat()
                    if stat.S_ISREG(state.st_mode) and not state.st_nlink:
                        found[state.st_dev, state.st_ino] = _taken(state)
    return sum(found.values())


def _taken(state: os.stat_result) -> int:
    return state.st_blocks * 512 if hasattr(state, "st_blocks") else state.st_size


def _family(pid: int) -> Iterator[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        yield process
        yield from process.children(recursive=True)
