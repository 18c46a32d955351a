"""Scans of sources that do what their names say, in this process and by the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from archlint.options import Options
from archlint.scanning import jobs
from archlint.scanning.ahead import Reading
from archlint.scanning.entries import Entry
from archlint.scanning.files import ResultFile
from archlint.scanning.forking import Forking
from archlint.scanning.index import Index
from archlint.scanning.processes import Limits, Processes
from archlint.scanning.results import InFile, InOrder
from archlint.scanning.scan import Scan
from archlint.scanning.tasks import Outcome, Task

from . import fakes

ROOT = Path(__file__).parent.parent.parent
PROGRAM = f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom {fakes.__name__} import install\ninstall()\n"
PROGRAM += "from archlint.cli import main\nmain()\n"

Documents = list[dict[str, Any]]


class Here:
    """An engine that runs each task in this process, and gives the outcomes of each few in reverse."""

    def __init__(self, batch: int = 3) -> None:
        self.batch = batch
        self.ran: list[str] = []

    def running(self) -> list[str]:
        return []

    def run(self, tasks: Iterator[Task | None]) -> Iterator[Outcome | None]:
        held: list[Outcome] = []
        for task in tasks:
            if task is not None:
                self.ran.append(task.name)
                said = json.loads(jobs.answer(task.job))
                held.append(Outcome(task.number, said.get("document"), said.get("lost", ""), 1.0))
            if task is None or len(held) == self.batch:
                yield from reversed(held)
                held = []
            yield None
        yield from reversed(held)


def processes(jobs: int = 2, **limits: Any) -> Processes:
    """The engine of processes, forked from a server that has imported little."""
    from archlint.scanning.memory import usage

    return Processes(Forking(fakes.WARM), jobs=jobs, limits=Limits(**limits), usage=usage)


def scanned(
    sources: Iterable[str | Entry],
    engine: Any = None,
    *,
    output: Path | None = None,
    resume: bool = False,
    options: Options | None = None,
) -> tuple[Scan, bytes]:
    """A scan of ``sources`` to its end, and the lines that it wrote."""
    written: list[bytes] = []
    index = Index()
    file = None if output is None else ResultFile(output, index, resume=resume)
    stream = InOrder(written.append)
    entries = (source if isinstance(source, Entry) else Entry(source) for source in sources)
    asked = options or Options()
    scan = Scan(
        Reading(entries, 10),
        options=lambda _: asked,
        identity=fakes.IDENTITY,
        engine=engine or Here(),
        results=stream if file is None else InFile(file),
        index=index,
        told_twice=lambda _: None,
    )
    try:
        for _ in scan.run():
            pass
    finally:
        if file is not None:
            file.close()
        stream.close()
        index.close()
    return scan, b"".join(written) if output is None else output.read_bytes()


def reports(lines: bytes) -> Documents:
    """The report of each line."""
    return [json.loads(line)["reports"][0] for line in lines.splitlines()]


def reasons(lines: bytes) -> dict[str, str]:
    """Of each source that was not checked, why."""
    return {one["source"]: one["unchecked"][0]["why"] for one in reports(lines) if one["unchecked"]}


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts ``archlint scan`` on such sources in a process of its own."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        line = [sys.executable, "-c", PROGRAM, "scan", "--isolated", *arguments]
        started.append(subprocess.Popen(line, stdin=pipe, stdout=pipe, stderr=pipe, cwd=tmp_path))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()
