"""Calls of the C library that Python has no functions for."""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import sys
from typing import Any

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITY_VERSION = 0x20080522
"""That of Linux 2.6.26, with 64 capabilities."""


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Capabilities(ctypes.Structure):
    _fields_ = [("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32)]


IS_LINUX = sys.platform.startswith("linux")


def machine() -> str:
    """The processor that this Python runs on: ``x86_64``, ``aarch64``, …; empty where it is not all of that machine.

    A 32-bit Python on a 64-bit kernel makes the system calls of another machine.
    """
    return platform.machine() if IS_LINUX and sys.maxsize > 2**32 and sys.byteorder == "little" else ""


def own_number() -> str:
    """The number of this process in ``/proc``, which may be that of another namespace."""
    return os.readlink("/proc/self")  # noqa: PTH115 (a name, not a path)


def has_one_thread() -> bool:
    """Whether this process has no other threads, of Python's or anybody's."""
    return len(os.listdir("/proc/self/task")) == 1  # noqa: PTH208 (names are enough)


@functools.cache
def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def call(number: int, *arguments: Any) -> int:
    """The system call ``number``; integers are passed in full width.

    Raises:
        OSError: it fails.
    """
    words = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    libc = _libc()
    libc.syscall.restype = ctypes.c_long
    return _checked(libc.syscall(ctypes.c_long(number), *words))


def allow_no_more_privileges() -> None:
    """From here on no program that this thread starts gains any; Landlock and seccomp ask for that."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def die_with_parent(signal: int, parent: int) -> None:
    """Have ``signal`` end this process when its parent ends.

    Args:
        signal: its number.
        parent: the process that is to be its parent; 0 where that is in another namespace.
    """
    _prctl(_PR_SET_PDEATHSIG, signal)
    if os.getppid() != parent and parent:  # which was gone before
        os._exit(1)


def drop_capabilities() -> None:
    """Give up all that root may do beyond other users, but for owning what root owns."""
    header = _Header(_CAPABILITY_VERSION, 0)
    none = (_Capabilities * 2)()
    _checked(_libc().capset(ctypes.byref(header), ctypes.byref(none)))


def _prctl(option: int, value: int) -> None:
    _checked(_libc().prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
