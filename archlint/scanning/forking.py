"""Processes forked from a warm server: what a check imports is paid for once."""

from __future__ import annotations

import contextlib
import math
import os
import select
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from typing import IO

from archlint.scanning import jobs, server
from archlint.scanning.launching import Begun, Broken, Ended, Event, LaunchError, Refused, environment, interpreter

WARM = ("archlint.scanning.warm",)
_STARTS = 3
"""How often in a row the server may end before it has begun."""
_PATIENCE = 5.0
"""Seconds that the server has to kill what it started."""
_DEAF = 30.0
"""Seconds after which a server that was told to kill a process, and has not told of its end, is taken for lost."""
_TOLD = 2000
"""Bytes of what it said before it ended."""
_BEGIN = "from archlint.scanning.server import main; main({descriptor}, {modules!r})"


class Forking:
    """Starts processes by way of :mod:`archlint.scanning.server`, which is started where it is not there.

    Args:
        modules: imported by the server before it forks.
    """

    def __init__(self, modules: Sequence[str] = WARM) -> None:
        self._modules = list(modules)
        self._server: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._said: IO[bytes] | None = None
        self._answers: dict[int, IO[bytes]] = {}
        self._pids: dict[int, int] = {}
        self._told_to_kill: dict[int, float] = {}
        """When it was."""
        self._failures = 0
        self._broke = False

    @property
    def server(self) -> int | None:
        """Its process id, while there is one."""
        return None if self._server is None else self._server.pid

    def start(self, number: int, job: bytes) -> None:
        if self._broke:  # of which the caller is still to be told
            return
        control = self._control or self._started()
        answer = _scratch()
        with _scratch() as request:
            request.write(job)
            request.seek(0)
            self._answers[number] = answer
            message = server.MESSAGE.pack(server.START, number, 0, 0.0)
            try:
                socket.send_fds(control, [message], [request.fileno(), answer.fileno()])
            except OSError:  # it is gone, as an event will say
                self._broke = True

    def kill(self, number: int) -> None:
        if self._control is not None:
            self._told_to_kill.setdefault(number, time.monotonic())
            with contextlib.suppress(OSError):
                self._control.sendall(server.MESSAGE.pack(server.KILL, number, 0, 0.0))

    def events(self, seconds: float) -> list[Event]:
        found: list[Event] = []
        if self._control is None:
            time.sleep(seconds)
        while self._control is not None and not self._broke:
            readable, _, _ = select.select([self._control], [], [], 0 if found else seconds)
            if not readable:
                if self._is_deaf():
                    break
                return found
            message = self._received(self._control)
            if message is None:
                break
            if (event := self._understood(*server.MESSAGE.unpack(message))) is not None:
                found.append(event)
            seconds = 0
        if self._control is not None:
            self._give_up()
            found.append(Broken())
        return found

    def close(self) -> None:
        if self._server is not None:
            self._end()

    def _is_deaf(self) -> bool:
        """Whether the server does nothing any more: a model's code may have stopped it."""
        return min(self._told_to_kill.values(), default=math.inf) + _DEAF < time.monotonic()

    def _started(self) -> socket.socket:
        ours, its = socket.socketpair()
        code = _BEGIN.format(descriptor=its.fileno(), modules=self._modules)
        self._said = _scratch()
        try:
            self._server = subprocess.Popen(
                interpreter(code),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._said,
                pass_fds=[its.fileno()],
                start_new_session=True,  # what a terminal sends to the command is no business of the server
                env=environment(),
            )
        except OSError as error:
            raise LaunchError(f"Python cannot be started: {error}") from error
        finally:
            its.close()
        self._control = ours
        return ours

    def _received(self, control: socket.socket) -> bytes | None:
        try:
            message = control.recv(server.MESSAGE.size, socket.MSG_WAITALL)
        except OSError:
            return None
        return message if len(message) == server.MESSAGE.size else None

    def _understood(self, what: bytes, number: int, value: int, seconds: float) -> Event | None:
        if what == server.READY:
            self._failures = 0
            return None
        if what == server.BEGUN:
            self._pids[number] = value
            return Begun(number, value)
        self._pids.pop(number, None)
        self._told_to_kill.pop(number, None)
        with self._answers.pop(number) as file:
            if what == server.REFUSED:
                return Refused(number, os.strerror(value))
            file.seek(0)
            return Ended(number, file.read(jobs.LARGEST), value, seconds)

    def _give_up(self) -> None:
        """Make sure of the server's end, and begin anew at the next start.

        Raises:
            LaunchError: it has ended before it could begin, time and again.
        """
        code, said = self._end()
        self._failures += 1
        if self._failures >= _STARTS:
            why = said[-1] if said else f"exit code {code}"
            raise LaunchError(f"the process that models are forked from ends before it has begun: {why}")

    def _end(self) -> tuple[int, list[str]]:
        """End the server and all that it started; its exit code, and what it said."""
        assert self._server is not None
        assert self._control is not None
        assert self._said is not None
        self._control.close()
        self._server.terminate()
        try:
            self._server.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        for pid in self._pids.values():  # what is left where it was killed itself: groups keep their number
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
        for file in self._answers.values():
            file.close()
        self._said.seek(max(self._said.seek(0, os.SEEK_END) - _TOLD, 0))
        said = self._said.read().decode(errors="replace").strip().splitlines()
        self._said.close()
        code = self._server.returncode
        self._server = self._control = self._said = None
        self._answers, self._pids, self._told_to_kill, self._broke = {}, {}, {}, False
        return code, said


def _scratch() -> IO[bytes]:
    """A file without a name, in memory where the system has such."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("archlint"), "w+b")
    return tempfile.TemporaryFile()
