"""What code of a repository tries, as Python's audit events tell it: named, and refused with an error.

The events are Python's own. Code that does not want to be seen finds ways around; the system's limits hold without
them. See https://docs.python.org/3/library/audit_events.html for what each event has for arguments.
"""

from __future__ import annotations

import errno
import os
import platform
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from importlib.machinery import all_suffixes
from pathlib import PosixPath
from types import FrameType
from typing import Any

from archlint.containment import environ, household
from archlint.containment.grounds import Grounds

Tell = Callable[[str, str], None]
"""Told the kind of an attempt, and what it was for."""

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES: Mapping[str, tuple[str, int]] = {
    "os.remove": ("delete", 1),
    "os.rmdir": ("delete", 1),
    "os.rename": ("rename", 2),
    "os.link": ("link", 2),
    "os.symlink": ("link", 2),
    "os.mkdir": ("make", 1),
    "os.truncate": ("write", 1),
    "os.chmod": ("change", 1),
    "os.chown": ("change", 1),
    "os.chflags": ("change", 1),
    "os.utime": ("change", 1),
    "os.setxattr": ("change", 1),
    "os.removexattr": ("change", 1),
}
"""Events that change files: the kind, and how many of the arguments are paths."""
_LISTS = frozenset({"os.listdir", "os.scandir"})
_INPUT = "builtins.input"
_DATABASE = "sqlite3.connect"
_SOCKETS: Mapping[str, str] = {
    "socket.__new__": "socket",
    "socket.connect": "connect",
    "socket.bind": "connect",
    "socket.sendto": "connect",
    "socket.sendmsg": "connect",
    "socket.getaddrinfo": "resolve",
    "socket.gethostbyname": "resolve",
    "socket.gethostbyaddr": "resolve",
    "socket.getnameinfo": "resolve",
}
_STARTS: Mapping[str, str] = {
    "os.system": "run",
    "os.exec": "run",
    "os.posix_spawn": "run",
    "os.spawn": "run",
    "os.startfile": "run",
    "subprocess.Popen": "run",
    "pty.spawn": "run",
    "os.fork": "fork",
    "os.forkpty": "fork",
    "os.kill": "kill",
    "os.killpg": "kill",
    "signal.pthread_kill": "kill",
}
_NATIVE = frozenset({"ctypes.dlopen", "ctypes.dlsym", "ctypes.call_function", "ctypes.string_at"})
_INSIDE = frozenset(
    {"gc.get_objects", "gc.get_referrers", "gc.get_referents", "sys.addaudithook", "sys.settrace", "sys.setprofile"}
)
_DANGEROUS = frozenset(
    f"builtins.{name}" for name in ("eval", "exec", "compile", "open", "__import__", "getattr", "breakpoint")
)
_DANGEROUS_MODULES = frozenset(
    ("os", "posix", "nt", "subprocess", "sys", "shutil", "socket", "ctypes", "importlib", "runpy", "pty", "pickle")
) | frozenset(("code", "signal", "threading", "multiprocessing", "urllib", "http", "webbrowser"))
"""What no file of weights names."""
_IMPORTING = ("<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>")
_MODULES = tuple(all_suffixes())
"""What the names of files end with that are read where something is imported."""
_FROZEN = "<frozen "
_SEEN = frozenset({"native", "unpickle", "inside", "secret", "environment"})
"""Kinds of attempts that are told, and not refused."""
_ASKING = (platform, uuid)
"""Modules of Python that ask other programs what machine this is, and do without an answer."""


class Attempts:
    """Watches this process from the moment it is made; there is no end to that.

    Args:
        grounds: files that may be read and written.
        tell: told each attempt once.
        most: how many of a kind are told, and one more.
    """

    def __init__(self, grounds: Grounds, tell: Tell, most: int) -> None:
        self._libraries = tuple(map(_slashed, grounds.installed))
        """What the names of files of code begin with that is no repository's."""
        self._known = tuple(map(_slashed, (*grounds.installed, *grounds.system, *grounds.repository, "/proc/self")))
        self._listed = tuple(map(_slashed, (*grounds.folders, *grounds.search)))
        self._home = _slashed(grounds.home)
        self._cache = _slashed(os.path.join(grounds.home, "modules"))  # noqa: PTH118 (no Path while it watches)
        self._furnished = tuple(_slashed(os.path.join(grounds.home, one)) for one in household.FURNISHED)  # noqa: PTH118
        self._harmless = (*_IMPORTING, *(module.__file__ for module in _ASKING))
        self._tell = tell
        self._most = most
        self._told: set[tuple[str, str]] = set()
        self._counts: Counter[str] = Counter()
        self._busy = threading.local()
        self._main = threading.main_thread().ident
        self._frame, self._thread, self._real = sys._getframe, threading.get_ident, os.path.realpath
        self._stat = os.lstat
        sys.addaudithook(self._heard)

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if getattr(self._busy, "is_so", False):
            return
        self._busy.is_so = True
        try:
            try:
                found = self._attempt(event, arguments)
            except (TypeError, ValueError, LookupError, OSError):  # of arguments that no such call takes
                return
            if found is None or not self._is_of_repository(*found):
                return
            if found not in self._told and self._counts[found[0]] <= self._most:
                self._told.add(found)
                self._counts[found[0]] += 1
                self._tell(*found)
        finally:
            self._busy.is_so = False
        kind, what = found
        if kind not in _SEEN:
            raise PermissionError(errno.EACCES, "archlint does not let code of a repository do this", what)

    def _attempt(self, event: str, arguments: tuple[Any, ...]) -> tuple[str, str] | None:
        """The kind of an event, and what it is for; ``None`` where it is nothing to tell."""
        if event == "open":
            return self._opening(arguments)
        if event in _LISTS:
            path = self._path(arguments[0])
            is_shown = path is None or self._is_shown(path) or f"{path}/".startswith(self._listed)
            if path is not None and self._is_missed(path):
                return "list", self._at_home(path)
            return None if is_shown else ("list", str(path))
        if event in _CHANGES:
            kind, count = _CHANGES[event]
            paths = [path for one in arguments[:count] if (path := self._path(one)) is not None]
            return next(((kind, path) for path in paths if not self._is_own(path)), None)
        if event == _DATABASE:
            given = str(arguments[0]) if type(arguments[0]) is PosixPath else arguments[0]
            path = None if given == ":memory:" else self._path(given)
            return None if path is None or self._is_own(path) else ("write", path)
        if event == _INPUT:
            return "input", ""
        if event == environ.LOOKED_FOR:
            return "secret", str(arguments[0])
        if event == environ.LOOKED_THROUGH:
            return "environment", ""
        if event in _SOCKETS:
            return _SOCKETS[event], _address(event, arguments)
        if event in _STARTS:
            return _STARTS[event], _program(arguments) if _STARTS[event] == "run" else ""
        if event == "pickle.find_class":
            module, name = map(str, arguments)
            is_bad = module.partition(".")[0] in _DANGEROUS_MODULES or f"{module}.{name}" in _DANGEROUS
            return ("unpickle", f"{module}.{name}") if is_bad else None
        if event in _NATIVE:
            return "native", _native(event, arguments)
        return ("inside", event) if event in _INSIDE else None

    def _opening(self, arguments: tuple[Any, ...]) -> tuple[str, str] | None:
        path, mode, flags = self._path(arguments[0]), arguments[1], arguments[2]
        if path is None:
            return None
        is_writing = bool(isinstance(flags, int) and flags & _WRITING)
        is_writing = is_writing or (isinstance(mode, str) and not {"w", "a", "x", "+"}.isdisjoint(mode))
        if self._is_own(path):
            return ("read", self._at_home(path)) if not is_writing and self._is_missed(path) else None
        if is_writing:
            return "write", path
        if path == f"/proc/{os.getpid()}/environ":
            return "environment", ""
        return None if self._is_shown(path) or f"{path}/" in self._listed else ("read", path)

    def _path(self, given: Any) -> str | None:
        """The file that is meant; ``None`` for a descriptor, or what is no path."""
        if type(given) is bytes:
            given = os.fsdecode(given)
        if type(given) is not str or "\0" in given:
            return None
        path = self._real(given or ".")
        return path if isinstance(path, str) else None

    def _is_own(self, path: str) -> bool:
        return f"{path}/".startswith(self._home) or path == "/dev/null"

    def _at_home(self, path: str) -> str:
        return f"~/{path[len(self._home) :]}"

    def _is_missed(self, path: str) -> bool:
        """Whether it would be a file of the user's, as ``~/.ssh/id_rsa``, in a home where nobody has put one."""
        if not f"{path}/".startswith(self._home) or f"{path}/".startswith(self._furnished):
            return False
        try:
            self._stat(path)
        except OSError:
            return True
        return False

    def _is_shown(self, path: str) -> bool:
        own = f"/proc/{os.getpid()}/"
        return self._is_own(path) or f"{path}/".startswith(self._known) or f"{path}/".startswith(own)

    def _is_of_repository(self, kind: str, what: str) -> bool:
        """Whether the repository's code is what does it, rather than a library by itself or while it is imported."""
        frame: FrameType | None = self._frame(2)
        if kind in ("secret", "environment"):  # what libraries ask for on the way is theirs
            while frame is not None and frame.f_code.co_filename.startswith((_FROZEN, environ.__file__)):
                frame = frame.f_back
            return frame is not None and not self._is_of_library(frame)
        if kind != "list" and not what.endswith(_MODULES):  # a loader that was asked for another file
            while frame is not None and frame.f_code.co_filename in _IMPORTING:
                frame = frame.f_back
        while frame is not None:
            if frame.f_code.co_filename in self._harmless:
                return False
            if not self._is_of_library(frame):
                return True
            frame = frame.f_back
        return self._thread() != self._main  # a thread that calls a library's function

    def _is_of_library(self, frame: FrameType) -> bool:
        """Whether no repository brings the code: what was generated in no file is of the module that it is run in."""
        file = frame.f_code.co_filename
        if file.startswith(_FROZEN) or frame.f_back is None:
            return file.startswith(("<", *self._libraries))
        if file.startswith("<"):
            file = dict.get(frame.f_globals, "__file__", "")
        return type(file) is str and file.startswith(self._libraries) and not file.startswith(self._cache)


def _slashed(path: str) -> str:
    return path.rstrip("/") + "/"


def _plain(value: Any) -> str:
    """``value`` in words, where that runs nobody's code."""
    if type(value) is bytes:
        return value.decode(errors="replace")
    if type(value) in (list, tuple):
        return " ".join(map(_plain, value))
    return str(value) if type(value) in (str, int) else type(value).__name__


def _program(arguments: tuple[Any, ...]) -> str:
    """The command, where there is one, or the program alone."""
    command = arguments[1] if len(arguments) > 1 and type(arguments[1]) in (list, tuple, str) else arguments[0]
    return _plain(command)


def _native(event: str, arguments: tuple[Any, ...]) -> str:
    """The library or function that is asked for."""
    if event == "ctypes.dlopen":
        return "the program itself" if arguments[0] is None else _plain(arguments[0])
    return _plain(arguments[1]) if event == "ctypes.dlsym" else event


def _address(event: str, arguments: tuple[Any, ...]) -> str:
    """Whom a socket is for: ``1.2.3.4:80``, a host's name, a path."""
    if event == "socket.__new__":
        return ""
    if _SOCKETS[event] == "resolve":
        return _plain(arguments[0])
    address = arguments[1]
    return ":".join(map(_plain, address[:2])) if type(address) is tuple else _plain(address)
