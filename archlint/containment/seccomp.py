"""A filter of system calls (seccomp) for this process: no sockets, no other processes, nothing that changes the system.

It says what is refused, not what is allowed: libraries of numbers call more than anybody could list. Calls that are
newer than this list do not exist for the process, as on an older kernel.
"""

from __future__ import annotations

import ctypes
import errno
import os
from dataclasses import dataclass

from archlint.containment import kernel
from archlint.containment.syscalls import NEWEST, NUMBERS

_PROCESSES = (
    "fork vfork execve execveat setsid setpgid tkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_open pidfd_getfd "
    "pidfd_send_signal ptrace process_vm_readv process_vm_writev process_madvise process_mrelease kcmp migrate_pages "
    "move_pages setpriority ioprio_set sched_setscheduler sched_setparam sched_setattr"
)
_NETWORK = "socket connect bind listen accept accept4"
_SHARED = (
    "memfd_create memfd_secret shmget shmat shmctl semget semop semtimedop semctl msgget msgsnd msgrcv msgctl mq_open "
    "mq_unlink"
)
"""Memory and queues that other processes see, or that no limit counts."""
_SYSTEM = (
    "add_key request_key keyctl bpf perf_event_open userfaultfd io_uring_setup io_uring_enter io_uring_register "
    "fanotify_init mount umount2 pivot_root chroot unshare setns move_mount open_tree fsopen fsconfig fsmount fspick "
    "mount_setattr name_to_handle_at open_by_handle_at personality init_module finit_module delete_module kexec_load "
    "kexec_file_load reboot swapon swapoff acct quotactl quotactl_fd iopl ioperm modify_ldt settimeofday clock_settime "
    "adjtimex clock_adjtime sethostname setdomainname syslog vhangup mknod mknodat inotify_init inotify_init1 truncate"
)
"""What changes or watches the system, or is a way past other rules: Landlock before version 3 lets files be cut."""
_OWNERS = "chown lchown fchown fchownat"
_ATTRIBUTES = "setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr"
_MODES = "chmod fchmod fchmodat utime utimes futimesat utimensat"
"""Modes and times of files, which Landlock leaves alone; ``shutil.copy`` cannot do without setting them."""

_ANSWERS = {
    _PROCESSES: errno.EPERM,
    _NETWORK: errno.EACCES,
    _SHARED: errno.EPERM,
    _SYSTEM: errno.EPERM,
    _OWNERS: errno.EPERM,
    _ATTRIBUTES: errno.EOPNOTSUPP,
    _MODES: 0,  # seemingly done
}
"""What calls get for an answer: the number of an error."""

_AUDIT_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_CLONE_THREAD = 0x10000
_AF_UNIX, _SOCK_STREAM = 1, 1
_SOCK_FLAGS = 0x80800
"""``SOCK_CLOEXEC`` and ``SOCK_NONBLOCK``."""
_PR_SET_PDEATHSIG = 1
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
"""Input into a terminal, as though somebody typed it."""
_FIOSETOWN, _SIOCSPGRP = 0x8901, 0x8902
_F_SETOWN, _F_SETSIG, _F_SETOWN_EX = 8, 10, 15
"""Whom the kernel sends a signal, and which, when there is something to read: any process of the user's."""
_O_TRUNC, _O_ACCMODE = 0x200, 3

_ALLOW, _ERRNO, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
_LOAD, _EQUAL, _GREATER, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x54, 0x06
"""Instructions of BPF: of 32-bit words, with a constant."""
_NUMBER, _ARCHITECTURE = 0, 4
"""Offsets in what a filter is given."""
_SET_MODE_FILTER = 1
_ALL_THREADS = 1


@dataclass(frozen=True, slots=True)
class Instruction:
    """One of BPF; where a test holds ``then`` instructions are skipped, and else ``otherwise``."""

    code: int
    value: int
    then: int = 0
    otherwise: int = 0


class _Filter(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint16), ("jt", ctypes.c_uint8), ("jf", ctypes.c_uint8), ("k", ctypes.c_uint32)]


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_uint16), ("filters", ctypes.POINTER(_Filter))]


def is_known() -> bool:
    """Whether the system calls of this machine are known here."""
    return kernel.machine() in NUMBERS


def restrict() -> None:
    """Refuse what the module says to all threads of this process, for ever.

    Needs :func:`archlint.containment.kernel.allow_no_more_privileges` or a capability.

    Raises:
        OSError: the kernel refuses, or has no such filters.
    """
    machine = kernel.machine()
    if machine not in NUMBERS:
        raise OSError(errno.ENOSYS, "the system calls of this machine are not known")
    code = program(machine, os.getpid())
    filters = (_Filter * len(code))(*(_Filter(one.code, one.then, one.otherwise, one.value) for one in code))
    prepared = _Program(len(code), ctypes.cast(filters, ctypes.POINTER(_Filter)))
    refused = kernel.call(NUMBERS[machine]["seccomp"], _SET_MODE_FILTER, _ALL_THREADS, ctypes.byref(prepared))
    if refused:  # the thread that would not be restricted
        raise OSError(errno.EBUSY, "a thread of this process has a filter of its own")


def program(machine: str, pid: int) -> list[Instruction]:
    """The filter for the process ``pid`` on ``machine``, one of :data:`~archlint.containment.syscalls.NUMBERS`."""
    numbers = NUMBERS[machine]
    code = [
        Instruction(_LOAD, _ARCHITECTURE),
        Instruction(_EQUAL, _AUDIT_ARCHITECTURES[machine], then=1),
        Instruction(_RETURN, _KILL_PROCESS),  # a call by the numbers of another machine
        Instruction(_LOAD, _NUMBER),
        Instruction(_GREATER, NEWEST, otherwise=1),  # those of x32 among them
        _answer(errno.ENOSYS),
    ]
    for names, number in _ANSWERS.items():
        for name in names.split():
            if name in numbers:
                code += [Instruction(_EQUAL, numbers[name], otherwise=1), _answer(number)]
    for name, checked in _checks(pid).items():
        if name in numbers:
            code += [Instruction(_EQUAL, numbers[name], otherwise=len(checked)), *checked]
    return [*code, Instruction(_RETURN, _ALLOW)]


def _checks(pid: int) -> dict[str, list[Instruction]]:
    """What decides on calls by their arguments."""
    own = _among(0, pid)
    return {
        "clone3": [_answer(errno.ENOSYS)],  # its flags lie where no filter can read; the C library then takes clone
        "clone": [
            Instruction(_LOAD, _argument(0)),
            Instruction(_ANY_BIT, _CLONE_THREAD, otherwise=1),
            Instruction(_RETURN, _ALLOW),
            _answer(errno.EPERM),
        ],
        "kill": own,
        "tgkill": own,
        "prlimit64": _among(0, 0, pid),
        "sched_setaffinity": _among(0, 0, pid),
        "prctl": _not_among(0, _PR_SET_PDEATHSIG),
        "ioctl": _not_among(1, _TIOCSTI, _TIOCLINUX, _FIOSETOWN, _SIOCSPGRP),
        "fcntl": _not_among(1, _F_SETOWN, _F_SETSIG, _F_SETOWN_EX),
        "open": _no_cutting(1),
        "openat": _no_cutting(2),
        "openat2": [_answer(errno.ENOSYS)],
        "socketpair": [  # with datagrams one could write to any socket of the system
            Instruction(_LOAD, _argument(1)),
            Instruction(_AND, 0xFFFFFFFF & ~_SOCK_FLAGS),
            Instruction(_EQUAL, _SOCK_STREAM, otherwise=3),
            *_among(0, _AF_UNIX)[:-1],
            _answer(errno.EACCES),
        ],
    }


def _among(argument: int, *values: int) -> list[Instruction]:
    """Allow a call whose argument is one of ``values``, and no other.

    The upper half of an argument is not looked at: the kernel takes these for 32 bits.
    """
    code = [Instruction(_LOAD, _argument(argument))]
    for value in values:
        code += [Instruction(_EQUAL, value, otherwise=1), Instruction(_RETURN, _ALLOW)]
    return [*code, _answer(errno.EPERM)]


def _not_among(argument: int, *values: int) -> list[Instruction]:
    code = [Instruction(_LOAD, _argument(argument))]
    for value in values:
        code += [Instruction(_EQUAL, value, otherwise=1), _answer(errno.EPERM)]
    return [*code, Instruction(_RETURN, _ALLOW)]


def _no_cutting(argument: int) -> list[Instruction]:
    """Refuse to open a file for reading, and to cut it: Landlock before version 3 takes that for reading alone."""
    return [
        Instruction(_LOAD, _argument(argument)),
        Instruction(_ANY_BIT, _O_TRUNC, then=1),
        Instruction(_RETURN, _ALLOW),
        Instruction(_ANY_BIT, _O_ACCMODE, otherwise=1),
        Instruction(_RETURN, _ALLOW),
        _answer(errno.EPERM),
    ]


def _argument(number: int) -> int:
    """The offset of the lower half of an argument, on machines whose numbers begin with it."""
    return 16 + 8 * number


def _answer(error: int) -> Instruction:
    return Instruction(_RETURN, _ERRNO | error)
