"""The process that models are forked from: it imports once what checks need, and then forks, kills and buries.

It is a program of its own (:func:`main`), in a session of its own, which obeys one socket and ends with it. Its
children lead sessions of their own; with each, all is killed that it has started. Standard input, output and error of
them all are the null device: a model's code may print what it likes.

No code of a model runs here, and no thread is ever started.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import os
import selectors
import signal
import socket
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

MESSAGE = struct.Struct("<cqqd")
"""What is said, a number, and what belongs to it: one size for all messages, in both directions."""
START, KILL = b"S", b"K"
"""Fork one for a number (with two descriptors: its job, and where its answer goes); kill it."""
READY, BEGUN, ENDED, REFUSED = b"R", b"B", b"E", b"F"
"""All is imported; a number's process is there (its id); it ended (its exit code as :mod:`subprocess` has it, and its
processor time); it could not be forked (an ``errno``)."""

_SET_DEATH_SIGNAL, _SET_SUBREAPER = 1, 36
"""What ``prctl`` of Linux is asked for."""


def main(descriptor: int, modules: Sequence[str]) -> None:
    """Serve the socket ``descriptor`` until it is closed, once ``modules`` are imported."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()
    _prctl(_SET_DEATH_SIGNAL, signal.SIGTERM)
    _prctl(_SET_SUBREAPER, 1)
    for module in modules:
        importlib.import_module(module)
    with contextlib.suppress(OSError):
        for number in (0, 1, 2):  # until now an error could be told
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # from now on there is something to be killed first
    if os.getppid() == parent:
        Server(socket.socket(fileno=descriptor)).serve()


def _prctl(option: int, value: int) -> None:
    """Ask Linux for something about this process; other systems have no such thing."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


class Server:
    """Forks for whoever holds the other end of ``control``."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._numbers: dict[int, int] = {}
        """What each child, by its process id, works on."""
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> None:
        """Answer until the other end is closed; then nothing is left that was forked."""
        with selectors.DefaultSelector() as selector:
            for readable in (self._control, self._woken):
                selector.register(readable, selectors.EVENT_READ)
            try:
                self._say(READY)
                while True:
                    for key, _ in selector.select():
                        if key.fd == self._woken:
                            os.read(self._woken, 4096)
                        elif not self._obey():
                            return
                    self._bury()
            except (BrokenPipeError, ConnectionResetError):
                return
            finally:
                for pid in [*self._numbers, *_children()]:
                    _kill(pid)

    def _say(self, what: bytes, number: int = 0, value: int = 0, seconds: float = 0.0) -> None:
        self._control.sendall(MESSAGE.pack(what, number, value, seconds))

    def _obey(self) -> bool:
        """Do what the next message says; whether there is one."""
        message, descriptors, _, _ = socket.recv_fds(self._control, MESSAGE.size, 2)
        if len(message) < MESSAGE.size:
            return False
        what, number, _, _ = MESSAGE.unpack(message)
        if what == START:
            self._start(number, *descriptors)
        else:
            for pid in [pid for pid, other in self._numbers.items() if other == number]:
                _kill(pid)
        return True

    def _start(self, number: int, job: int, answer: int) -> None:
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            self._say(REFUSED, number, error.errno or 0)
        else:
            if pid == 0:
                self._become(parent, job, answer)
            self._numbers[pid] = number
            self._say(BEGUN, number, pid)
        for descriptor in (job, answer):
            os.close(descriptor)

    def _become(self, parent: int, job: int, answer: int) -> NoReturn:
        """Be the process of one model, to its end."""
        code = 1
        try:
            os.setsid()
            _prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
            if os.getppid() == parent:
                _offer_to_the_kernel()
                signal.set_wakeup_fd(-1)
                for number in (signal.SIGCHLD, signal.SIGTERM):
                    signal.signal(number, signal.SIG_DFL)
                signal.signal(signal.SIGINT, signal.default_int_handler)
                for descriptor in (self._control.fileno(), self._woken, self._wake):
                    os.close(descriptor)
                write_answer(job, answer)
                code = 0
        finally:
            os._exit(code)  # whatever the model's code has registered for the end of the process

    def _bury(self) -> None:
        """Tell of the children that have ended, when all is killed that they left behind."""
        with contextlib.suppress(ChildProcessError):  # there is none
            while (ended := self._next_ended()) is not None:
                pid, code, seconds = ended
                number = self._numbers.pop(pid, None)
                if number is not None:
                    self._say(ENDED, number, code, seconds)
        for stray in _children() - self._numbers.keys():
            _kill(stray)

    def _next_ended(self) -> tuple[int, int, float] | None:
        """Id, exit code and processor time of a child that has ended, and whose group is killed."""
        if not hasattr(os, "waitid"):  # macOS, before Python 3.13
            pid, status, used = os.wait4(-1, os.WNOHANG)
            if pid == 0:
                return None
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
        else:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None:
                return None
            if ended.si_pid in self._numbers:
                _kill(ended.si_pid)  # until it is waited for, nobody else can get its number
            pid, status, used = os.wait4(ended.si_pid, 0)
        return pid, os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime


def write_answer(job: int, answer: int) -> None:
    """Read a packed check from one descriptor, and write what it comes to into another."""
    from archlint.scanning import jobs

    with os.fdopen(job, "rb") as request:
        packed = request.read()
    with os.fdopen(answer, "wb") as response:
        response.write(jobs.answer(packed))


def _kill(pid: int) -> None:
    """Kill the process and the group that it leads, or is about to lead."""
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)


def _children() -> set[int]:
    """Children of this process, those included that a model's code started, and that came here when it ended."""
    try:
        return set(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()))
    except (OSError, ValueError):  # another system than Linux
        return set()


def _offer_to_the_kernel() -> None:
    """Let Linux take this process first where memory runs out."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
