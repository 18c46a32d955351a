"""What runs on a node of a cluster: the engine of processes, with as many of them as Ray has given it processors."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from archlint import __version__
from archlint.own_code import all_code
from archlint.scanning.forking import WARM, Forking
from archlint.scanning.memory import available, usage
from archlint.scanning.processes import Limits, Processes
from archlint.scanning.tasks import Engine, Outcome, Task
from archlint.surroundings import surroundings, variables

_THREADS = "OMP_NUM_THREADS"
"""Which Ray sets to the processors that it gave."""
_PATH = "import json, sys; print(json.dumps([folder for folder in sys.path if folder]))"


@dataclass(frozen=True)
class Setup:
    """What every worker is to be like: as the process that shares the tasks out."""

    limits: Limits
    """Memory is bounded by what a node has, too."""
    modules: Sequence[str]
    """Imported by what models are forked from."""
    path: Sequence[str]
    """``sys.path``."""
    folder: str
    """The working directory, which names of models may start from."""
    variables: Mapping[str, str]
    """Those of the environment that results depend on, and no others of these."""
    versions: Mapping[str, str | None]
    digests: Sequence[str]
    """Of archlint's own code, and of all else that results depend on."""

    @classmethod
    def here(cls, limits: Limits, modules: Sequence[str] = WARM) -> Setup:
        """As this process is."""
        return cls(limits, modules, list(sys.path), str(Path.cwd()), _variables(), _versions(), _digests())


class Worker:
    """Runs tasks on a node, each in a process of its own. Its methods are called in several threads."""

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
        self._answers: dict[int, Future[Outcome]] = {}
        self._failure: BaseException | None = None
        self._is_ending = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, setup: Setup, jobs: int, share: float) -> str:
        """Be ready for ``jobs`` tasks at a time, which together may take a share of the node's memory.

        Why nothing can be run here: results would be others than where the setup was made. Else empty.
        """
        _become(setup)
        if (why := _difference(setup)) is not None:
            return f"{platform.node()} has {why}"
        limits = Limits(setup.limits.seconds, min(setup.limits.memory, int(available() * share) // jobs))
        engine = Processes(Forking(setup.modules), jobs=jobs, limits=limits, usage=usage)
        self._thread = threading.Thread(target=self._serve, args=(engine,), daemon=True)
        self._thread.start()  # which starts all processes: Linux ends them with the thread that did
        return ""

    def answer(self, task: Task, *, has_path: bool) -> Outcome:
        """What becomes of a task. ``has_path``: its name is a path where it comes from.

        Raises:
            LaunchError: nothing can be run here.
        """
        if has_path and not os.path.exists(task.name):  # noqa: PTH110 (a name may be no path)
            return Outcome(task.number, None, f"its path is not there on {platform.node()}")
        future = self._answers[task.number] = Future()
        if self._failure is not None:
            raise self._failure
        self._tasks.put(task)
        return future.result()

    def end(self) -> None:
        """End all that runs."""
        self._is_ending.set()
        if self._thread is not None:
            self._thread.join()

    def _serve(self, engine: Engine) -> None:
        outcomes = engine.run(self._given())
        try:
            for outcome in outcomes:
                if outcome is not None:
                    self._answers.pop(outcome.number).set_result(outcome)
                if self._is_ending.is_set():
                    break
        except BaseException as error:  # raised again where an answer is waited for
            self._failure = error
            for future in list(self._answers.values()):
                future.set_exception(error)
        finally:
            outcomes.close()

    def _given(self) -> Iterator[Task | None]:
        while True:
            try:
                yield self._tasks.get_nowait()
            except queue.Empty:
                yield None


def _become(setup: Setup) -> None:
    """Make this process, and what it starts, like the one that the setup was made in."""
    with contextlib.suppress(OSError):  # a node that does not share it
        os.chdir(setup.folder)
    own = json.loads(subprocess.run([sys.executable, "-c", _PATH], capture_output=True, check=True).stdout)
    others = [folder for folder in setup.path if folder not in own and Path(folder).is_dir()]
    sys.path[:] = [*others, *own]  # without what Ray has put there
    for name in _variables().keys() - setup.variables.keys():
        del os.environ[name]
    os.environ.update(setup.variables)


def _difference(setup: Setup) -> str | None:
    """What is otherwise here than where the setup was made; ``None`` where results are the same."""
    here = _versions()
    others = [f"{name} {has or 'missing'} ({setup.versions[name]})" for name, has in here.items()]
    others = [words for words, name in zip(others, here, strict=True) if here[name] != setup.versions[name]]
    if others:
        return ", ".join(others)
    code, rest = (mine == its for mine, its in zip(_digests(), setup.digests, strict=True))
    if not code:
        return "an archlint whose code is another"
    return None if rest else "other packages, variables of the environment or accelerators"


def _variables() -> dict[str, str]:
    told = variables(os.environ)
    return {**told, _THREADS: os.environ[_THREADS]} if _THREADS in os.environ else told


def _versions() -> dict[str, str | None]:
    from dataclasses import asdict

    from archlint.versions import environment

    return {"archlint": __version__, **asdict(environment())}


def _digests() -> list[str]:
    return [all_code(), surroundings()]
