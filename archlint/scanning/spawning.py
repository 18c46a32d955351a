"""Processes that begin with nothing, one for each model: for systems where none can be forked."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from archlint.scanning.launching import Begun, Ended, Event, LaunchError, environment, interpreter

_POLL = 0.01
_BEGIN = """
import os
from archlint.scanning.server import write_answer
write_answer(os.open({job!r}, os.O_RDONLY | getattr(os, "O_BINARY", 0)),
             os.open({answer!r}, os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600))
os._exit(0)
"""


@dataclass(frozen=True, slots=True)
class _Started:
    process: subprocess.Popen[bytes]
    folder: tempfile.TemporaryDirectory[str]


class Spawning:
    """Starts a fresh interpreter for each job, which imports what it needs. Its processor time is not known."""

    def __init__(self) -> None:
        self._started: dict[int, _Started] = {}
        self._begun: list[Begun] = []

    def start(self, number: int, job: bytes) -> None:
        folder = tempfile.TemporaryDirectory(prefix="archlint-", ignore_cleanup_errors=True)
        request = Path(folder.name, "job")
        request.write_bytes(job)
        code = _BEGIN.format(job=str(request), answer=str(Path(folder.name, "answer")))
        null = subprocess.DEVNULL
        try:
            process = subprocess.Popen(
                interpreter(code),
                stdin=null,
                stdout=null,
                stderr=null,
                start_new_session=True,
                env=environment(),
            )
        except OSError as error:
            folder.cleanup()
            raise LaunchError(f"Python cannot be started: {error}") from error
        self._started[number] = _Started(process, folder)
        self._begun.append(Begun(number, process.pid))

    def kill(self, number: int) -> None:
        if number in self._started:
            _kill(self._started[number].process)

    def events(self, seconds: float) -> list[Event]:
        until = time.monotonic() + seconds
        while not (found := self._happened()) and time.monotonic() < until:
            time.sleep(_POLL)
        self._begun = []
        return found

    def close(self) -> None:
        for started in self._started.values():
            _kill(started.process)
            started.process.wait()
            started.folder.cleanup()
        self._started = {}

    def _happened(self) -> list[Event]:
        return [*self._begun, *self._ended()]

    def _ended(self) -> list[Ended]:
        over = {number: one for number, one in self._started.items() if one.process.poll() is not None}
        return [self._bury(number, one) for number, one in over.items()]

    def _bury(self, number: int, one: _Started) -> Ended:
        del self._started[number]
        answer = Path(one.folder.name, "answer")
        content = answer.read_bytes() if answer.is_file() else b""
        one.folder.cleanup()
        return Ended(number, content, one.process.returncode)


def _kill(process: subprocess.Popen[bytes]) -> None:
    import psutil  # type: ignore[import-untyped]

    with contextlib.suppress(psutil.NoSuchProcess):
        found = psutil.Process(process.pid)
        for one in (*found.children(recursive=True), found):
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
