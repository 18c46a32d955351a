"""Sources that do what their names say, once they are checked in a process of their own."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from archlint.core.blueprint import ModelInfo
from archlint.core.finding import Evidence, Finding, Severity
from archlint.core.report import Report
from archlint.report.contract import SCHEMA
from archlint.scanning.entries import Entry
from archlint.scanning.scan import Found, Identity

if TYPE_CHECKING:
    from archlint.options import Options

WARM = (__name__, "archlint.engine", "archlint.scanning.jobs")
"""What a server for them imports."""
LONG = 600
"""Seconds that no test lasts."""


def locate(entry: Entry, options: Options) -> Found | Report:
    """``KEY~NAME`` has a key; what begins with ``gone`` is not there; ``broken`` breaks archlint."""
    if entry.source.startswith("broken"):
        raise RuntimeError("it is broken")
    if entry.source.startswith("gone"):
        from archlint.scanning import lines

        return lines.lost(entry.source, "it is gone", options)
    key, alike, _ = entry.source.partition("~")
    return Found(entry.source, key if alike else None)


def named(report: Report, located: str) -> Report:
    return dataclasses.replace(report, source=located)


def check(located: str, options: Options) -> Report:
    """Do what the name says, behind ``:`` with an argument: ``wait:0.1``."""
    what, _, argument = located.partition("~")[0].partition(":")
    _DOES.get(what, lambda _: None)(argument)
    severity = Severity(what) if what in ("error", "warning", "info") else None
    found = () if severity is None else (Finding("ARC101", "some-name", severity, "it is so", "", Evidence.STATIC),)
    return Report("SOURCE", ModelInfo("m", "local", "Net", "net", 10, 3), findings=found, seconds=time.monotonic())


def check_anything(located: object, options: Options) -> Report:
    """A report on whatever it is."""
    return Report("SOURCE", ModelInfo("m", "local", "Net", "net", 10, 3))


def _sleep(argument: str) -> None:
    time.sleep(float(argument or LONG))


def _count(file: str) -> None:
    """Leave a byte in a file for each check."""
    with Path(file).open("ab") as log:
        log.write(b".")


def _crash(_: str) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def _exit(code: str) -> None:
    os._exit(int(code))


def _sys_exit(code: str) -> None:
    sys.exit(int(code))


def _raise(message: str) -> None:
    raise ValueError(message)


def _memory_error(_: str) -> None:
    raise MemoryError


def _grow(mebibytes: str) -> None:
    kept = b"x" * (int(mebibytes) * 2**20)
    time.sleep(LONG)
    assert kept


def _print(_: str) -> None:
    os.write(1, b"printed\n")
    os.write(2, b"printed\n")
    print("printed")


def _child(file: str) -> None:
    """Start a process that outlives this one, tell its number in a file, and hang."""
    process = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({LONG})"])
    _tell(file, process.pid)
    time.sleep(LONG)


def _growing_child(mebibytes: str) -> None:
    subprocess.run(
        [sys.executable, "-c", f"x = b'x' * ({mebibytes} << 20); import time; time.sleep({LONG})"], check=True
    )


def _daemon(file: str) -> None:
    """Start a process in a session of its own, tell its number in a file, and be done."""
    process = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({LONG})"], start_new_session=True)
    _tell(file, process.pid)


def _hang(file: str) -> None:
    """Tell the own number in a file, and hang."""
    _tell(file, os.getpid())
    time.sleep(LONG)


def _hang_once(file: str) -> None:
    """Hang, unless there is a file that says that this was killed before."""
    if not Path(file).with_suffix(".killed").exists():
        _hang(file)


def _tell(file: str, pid: int) -> None:
    Path(f"{file}.part").write_text(str(pid))
    Path(f"{file}.part").rename(file)


def _kill_parent(_: str) -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(LONG)


def _stop_parent(_: str) -> None:
    os.kill(os.getppid(), signal.SIGSTOP)


def _kill_self(counted: str) -> None:
    _count(counted)
    os.kill(os.getpid(), signal.SIGKILL)


def _interrupt(_: str) -> None:
    raise KeyboardInterrupt


def _answer(text: str) -> None:
    """Have this process answer with something else than a report."""
    none = json.dumps({"document": {"schema": SCHEMA, "environment": {"python": "3"}, "reports": []}})
    said = {"deep": '{"document":' + "[" * 10**5, "none": none}.get(text, text)
    json.dumps = lambda *_, **__: said


_DOES = {
    "wait": _sleep,
    "count": _count,
    "crash": _crash,
    "exit": _exit,
    "sys-exit": _sys_exit,
    "raise": _raise,
    "memory-error": _memory_error,
    "grow": _grow,
    "growing-child": _growing_child,
    "print": _print,
    "child": _child,
    "daemon": _daemon,
    "hang": _hang,
    "kill-parent": _kill_parent,
    "stop-parent": _stop_parent,
    "kill-self": _kill_self,
    "interrupt": _interrupt,
    "answer": _answer,
    "hang-once": _hang_once,
}
IDENTITY = Identity(locate, check, named)


def install() -> None:
    """Have the command line of this process scan such sources, from a server that imports little."""
    from archlint.scanning import forking, identifying

    identifying.usual = lambda: IDENTITY
    forking.Forking = functools.partial(forking.Forking, WARM)  # type: ignore[misc,assignment]
