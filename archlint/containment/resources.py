"""Limits that the system keeps for a process by itself."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from archlint.containment.limits import Limits

if sys.platform != "win32":
    import resource

_DESCRIPTORS = 512
_SPARE = 64
"""Processes and threads of the user's, beyond those that there are."""
_TIMES = 2
"""How much more than by the clock it may take of processors: it may have threads."""


def limit(limits: Limits) -> None:
    """Bound what this process may take; what it has already, of files and memory, stays."""
    _set("RLIMIT_CORE", 0)
    _set("RLIMIT_MSGQUEUE", 0)
    _set("RLIMIT_MEMLOCK", 0)
    _set("RLIMIT_FSIZE", limits.file)
    _set("RLIMIT_NOFILE", _DESCRIPTORS)
    _set("RLIMIT_DATA", limits.memory)
    _set("RLIMIT_CPU", int(limits.start + limits.total) * _TIMES)


def limit_addresses(limits: Limits) -> None:
    """Bound what it may map from now on: what is shared, or has no memory yet, counts there alone."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        _set("RLIMIT_AS", pages * os.sysconf("SC_PAGE_SIZE") + limits.memory)


def limit_processes(running: int) -> None:
    """Bound the number of the user's processes and threads, of which ``running`` are there; root has no such bound."""
    _set("RLIMIT_NPROC", running + _SPARE)


def _set(name: str, most: int) -> None:
    """What a process may raise again is no limit, so both of the kernel's are set."""
    if (kind := getattr(resource, name, None)) is None:
        return
    with contextlib.suppress(OSError, ValueError):  # a system that has it in name only
        _, hard = resource.getrlimit(kind)
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (value, value))
