"""How much memory there is, and how much processes and all that they started take."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Mapping
from pathlib import Path

import psutil  # type: ignore[import-untyped]

_GROUPS = Path("/sys/fs/cgroup")
_LIMITS = (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"))
"""Of control groups of Linux, version 2 and 1: what a container may take, and takes."""


def available() -> int:
    """Bytes that can be taken before the system, or the container, has none left."""
    free: int = psutil.virtual_memory().available
    for most, taken in _LIMITS:
        with contextlib.suppress(OSError, ValueError):  # no container, or one without a limit
            free = min(free, int((_GROUPS / most).read_text()) - int((_GROUPS / taken).read_text()))
    return max(free, 0)


def usage(leaders: Collection[int], limit: int) -> Mapping[int, int]:
    """Bytes that each of the processes ``leaders`` takes, with all in its session.

    Pages that processes share count in full, unless that comes to more than ``limit``: then each is counted once.
    """
    members = _members(leaders)
    taken = {leader: sum(map(_resident, pids)) for leader, pids in members.items()}
    return {
        leader: sum(map(_proportional, members[leader])) if size > limit else size for leader, size in taken.items()
    }


def _members(leaders: Collection[int]) -> Mapping[int, list[int]]:
    members: dict[int, list[int]] = {leader: [] for leader in leaders}
    if hasattr(os, "getsid"):
        for pid in psutil.pids():
            with contextlib.suppress(OSError):
                if (leader := os.getsid(pid)) in members:
                    members[leader].append(pid)
    else:
        for leader, pids in members.items():
            with contextlib.suppress(psutil.Error):
                pids += [leader, *(child.pid for child in psutil.Process(leader).children(recursive=True))]
    return members


def _resident(pid: int) -> int:
    with contextlib.suppress(psutil.Error):
        size: int = psutil.Process(pid).memory_info().rss
        return size
    return 0


def _proportional(pid: int) -> int:
    with contextlib.suppress(psutil.Error):
        taken = psutil.Process(pid).memory_full_info()
        size: int = getattr(taken, "pss", None) or taken.rss
        return size
    return 0
