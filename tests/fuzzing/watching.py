"""What a call does to files, processes and the network, told by Python's audit events."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_ON_PATHS = {"os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod"}
_OUTWARD = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "socket.connect", "socket.getaddrinfo"}
_SINKS = ("/dev/null", "/dev/shm", "/proc/", "/dev/fd")


def watch(inside: Iterable[Path], readable: Iterable[Path]) -> list[str]:
    """From now on, and to the end of this process, tell what is done outside.

    Args:
        inside: folders in which anything may be done.
        readable: folders and files that may be read, too.

    Returns:
        a list that grows: a line for each write, read, started program and connection that leads outside.
    """
    found: list[str] = []
    own = tuple(os.path.realpath(path) for path in inside)
    read = (*own, *(os.path.realpath(path) for path in readable), *_SINKS)

    def is_below(path: object, folders: tuple[str, ...]) -> bool:
        if isinstance(path, int) or path is None:
            return True
        name = os.path.realpath(os.fsdecode(path))  # type: ignore[arg-type]
        return any(name == folder or name.startswith(folder.rstrip("/") + "/") for folder in folders)

    def opened(path: Any, mode: Any, flags: Any) -> None:
        writes = bool(isinstance(flags, int) and flags & _WRITING) or (
            isinstance(mode, str) and set(mode) & set("wax+")
        )
        if writes and not is_below(path, (*own, *_SINKS)):
            found.append(f"outside: written: {path!r}")
        elif not writes and not is_below(path, read):
            found.append(f"outside: read: {path!r}")

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            opened(*arguments)
        elif event in _ON_PATHS:
            paths = [path for path in arguments if isinstance(path, (str, bytes, os.PathLike))]
            if not all(is_below(path, (*own, *_SINKS)) for path in paths):
                found.append(f"outside: {event}: {arguments!r}")
        elif event in _OUTWARD:
            found.append(f"outside: {event}: {arguments!r:.200}")

    sys.addaudithook(hook)
    return found


def interpreter() -> list[Path]:
    """Where Python, its packages and what the system tells of itself are read from."""
    places = {sys.prefix, sys.base_prefix, *(path for path in sys.path if path), "/usr/lib", "/usr/share/zoneinfo"}
    return [Path(place) for place in places] + [Path("/sys"), Path("/etc/localtime"), Path("/dev/urandom")]
