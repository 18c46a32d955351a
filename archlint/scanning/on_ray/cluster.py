"""Ray itself: the cluster that is there, or one of this machine, and calls of workers on its nodes.

Nothing else imports Ray. It leaves the process as it was: Ray would put its own packages in front of ``sys.path``,
answer SIGTERM itself, and write to standard output when a worker dies.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Collection, Iterator
from typing import Any, NewType, cast

import psutil  # type: ignore[import-untyped]

from archlint.scanning.launching import LaunchError
from archlint.scanning.on_ray.worker import Setup, Worker

Actor = NewType("Actor", object)
"""A worker on some node, or one that waits for a place on one."""
Call = NewType("Call", object)
"""A call of one, which is going on."""

_STORE = 128 * 2**20
"""Bytes of shared memory of a Ray of one's own: reports are small."""
_VARIABLES = {"RAY_kill_child_processes_on_worker_exit": "false"}
"""Of workers. Where one ends, its server sees that and ends all models, with what they have started; killed itself, as
Ray would have it, it could not."""


class GoneError(Exception):
    """The worker, or its node, is gone, or cannot be reached."""


class Cluster:
    """The Ray that this process is connected to."""

    def __init__(self, ray: Any, *, is_own: bool) -> None:
        self._ray = ray
        self._worker = ray.remote(_OnNode)
        self.is_own = is_own
        """Whether it was started for this process, and ends with it."""

    def processors(self) -> list[int]:
        """How many each node has to give, of those that have any."""
        with _told():
            nodes = [node["Resources"].get("CPU", 0) for node in self._ray.nodes() if node["Alive"]]
        return [int(given) for given in nodes if given >= 1]

    def ask_for(self, jobs: int) -> Actor:
        """A worker on a node that has as many processors to give, once there is one."""
        options = {
            "num_cpus": jobs,
            "max_concurrency": jobs + 1,  # ``end`` is heard while all others are at work
            "runtime_env": {"env_vars": _VARIABLES},
        }
        return cast(Actor, self._worker.options(**options).remote())

    def call(self, actor: Actor, method: str, *arguments: Any, **named: Any) -> Call:
        """Begin a call of a method of a worker."""
        return cast(Call, getattr(actor, method).remote(*arguments, **named))

    def ended(self, calls: Collection[Call], seconds: float, *, all: bool = False) -> list[Call]:
        """Those that have come to an end: waited for at most so long until there is one, or until it is all."""
        if not calls:
            return []
        with _told():
            ended, _ = self._ray.wait(list(calls), num_returns=len(calls) if all else 1, timeout=seconds)
            if not all and ended:  # the others that have ended too
                ended, _ = self._ray.wait(list(calls), num_returns=len(calls), timeout=0)
        return cast("list[Call]", ended)

    def result(self, call: Call) -> Any:
        """What came of a call that has ended.

        Raises:
            GoneError: see there.
            LaunchError: nothing can be run where it was made.
        """
        from ray.exceptions import RayError, RayTaskError

        try:
            return self._ray.get(call)
        except RayTaskError as error:  # raised by the worker, or by Ray as it could not make one of archlint's
            raise LaunchError(_last_line(error.cause or error)) from error
        except RayError as error:
            raise GoneError(_last_line(error)) from error

    def kill(self, actor: Actor) -> None:
        """End a worker at once, or the wait for one."""
        from ray.exceptions import RayError

        with contextlib.suppress(RayError, ValueError):
            self._ray.kill(actor)


class _OnNode(Worker):
    """A worker that Ray has given a part of a node."""

    def begin(self, setup: Setup, jobs: int, share: float | None = None) -> str:
        if share is None:
            import ray

            here = ray.get_runtime_context().get_node_id()
            given = [node["Resources"].get("CPU", jobs) for node in ray.nodes() if node["NodeID"] == here]
            share = jobs / max([jobs, *given])
        return super().begin(setup, jobs, share)


@contextlib.contextmanager
def joined(jobs: int) -> Iterator[Cluster]:
    """The cluster that ``RAY_ADDRESS`` names or ``ray start`` has begun here, else one of ``jobs`` processors.

    Where this process is connected to one already, it is that one, and the connection stays.

    Raises:
        LaunchError: there is none, and none can be started.
    """
    with contextlib.ExitStack() as stack:
        with _as_it_was():
            try:
                import ray
            except ImportError as error:
                raise LaunchError(f"Ray cannot be imported: {error}") from error
            stack.enter_context(_silent(ray))
            is_own = False
            if not ray.is_initialized():
                is_own = stack.enter_context(_connected(ray, jobs))
        yield Cluster(ray, is_own=is_own)


@contextlib.contextmanager
def _connected(ray: Any, jobs: int) -> Iterator[bool]:
    """Be connected to a cluster; whether it had to be started. Then nothing of it is left."""
    others = psutil.Process().children()
    started: list[psutil.Process] = []
    try:
        is_own = _connect(ray, jobs)
        started = [one for one in psutil.Process().children() if one not in others]
        yield is_own
    finally:
        family = [*started, *(child for one in started for child in _children(one))]
        ray.shutdown()
        for one in family:  # some of Ray's own would be there for half a minute more
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()


def _children(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return list(process.children(recursive=True))
    return []


@contextlib.contextmanager
def _silent(ray: Any) -> Iterator[None]:
    """Have Ray write nothing about the end of workers, which ``log_to_driver`` does not keep it from.

    There is no public setting: its debugger has this one, in each version from the lower bound of the extra on.
    """
    worker = ray._private.worker
    before = worker._worker_logs_enabled
    worker._worker_logs_enabled = False
    try:
        yield
    finally:
        worker._worker_logs_enabled = before


def _connect(ray: Any, jobs: int) -> bool:
    """Connect to a cluster; whether it had to be started."""
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    own = {"num_cpus": jobs, "include_dashboard": False, "object_store_memory": _STORE}
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # of a Ray of one's own: a cluster has its own setting
    with _told():
        try:
            ray.init(**own, **quiet)
        except ValueError:  # there is one: Ray refuses to connect to it with what is for one that is to be started
            ray.init(**quiet)
            return False
        return True


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Tell what fails in Ray itself in one line."""
    try:
        yield
    except LaunchError:
        raise
    except Exception as error:
        raise LaunchError(f"Ray: {_last_line(error)}") from error


@contextlib.contextmanager
def _as_it_was() -> Iterator[None]:
    """Undo what Ray does to the process that imports it and connects."""
    path, terminated = list(sys.path), signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        sys.path[:] = path
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, terminated)


def _last_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__
