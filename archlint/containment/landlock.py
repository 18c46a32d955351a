"""Landlock: what this thread, and all that it starts, may do with files and TCP. See landlock(7) of Linux."""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
from collections.abc import Iterable

from archlint.containment import kernel

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""Numbers of the system calls, the same on all machines."""
_ASK_VERSION = 1
_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = (1 << bit for bit in range(4))
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_SINCE = {1: (1 << 13) - 1, 2: _REFER, 3: _TRUNCATE, 5: _IOCTL_DEV}
"""Rights on files by the version of the interface that has them first."""
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
"""Those that make sense of what is no folder."""
_BIND_AND_CONNECT_TCP = 0b11
_NET_SINCE = 4
_ABSTRACT_SOCKETS_AND_SIGNALS = 0b11
_SCOPES_SINCE = 6


class _Ruleset(ctypes.Structure):
    _fields_ = [("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64)]


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32)]


def version() -> int:
    """The version of the interface that the kernel has; 0 where it has none, or it is turned off."""
    if not kernel.machine():
        return 0
    try:
        return kernel.call(_CREATE_RULESET, None, 0, _ASK_VERSION)
    except OSError:
        return 0


def restrict(readable: Iterable[str], listable: Iterable[str], writable: Iterable[str]) -> None:
    """Close all files but these to this thread, for ever; nothing may be executed, and no TCP port be used.

    Of a process only threads that are started afterwards are restricted as well. Needs
    :func:`archlint.containment.kernel.allow_no_more_privileges` or a capability.

    Args:
        readable: files and folders; what does not exist, or is a link, is left out.
        listable: folders whose names may be read, with those of folders in it.
        writable: files and folders in which everything may be done but to execute.

    Raises:
        OSError: the kernel refuses.
    """
    has = version()
    handled = sum(rights for since, rights in _SINCE.items() if since <= has)
    ruleset = _Ruleset(handled)
    size = 8
    if has >= _NET_SINCE:
        ruleset.network, size = _BIND_AND_CONNECT_TCP, 16
    if has >= _SCOPES_SINCE:
        ruleset.scopes, size = _ABSTRACT_SOCKETS_AND_SIGNALS, 24
    descriptor = kernel.call(_CREATE_RULESET, ctypes.byref(ruleset), size, 0)
    try:
        for path in readable:
            _allow(descriptor, path, _READ_FILE | _READ_DIR)
        for path in listable:
            _allow(descriptor, path, _READ_DIR)
        for path in writable:
            _allow(descriptor, path, handled & ~_EXECUTE)
        kernel.call(_RESTRICT_SELF, descriptor, 0)
    finally:
        os.close(descriptor)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        target = os.open(path, os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return
    with contextlib.ExitStack() as held:
        held.callback(os.close, target)
        mode = os.fstat(target).st_mode
        if stat.S_ISLNK(mode):
            return
        rule = _Beneath(rights if stat.S_ISDIR(mode) else rights & _OF_FILES, target)
        with contextlib.suppress(OSError):  # of a file system that is not made of folders
            kernel.call(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
