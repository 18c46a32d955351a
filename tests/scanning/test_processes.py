"""One model's crash, hang or hunger is its own, and nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from archlint.options import Options
from archlint.scanning import forking, jobs
from archlint.scanning.forking import Forking
from archlint.scanning.launching import LaunchError
from archlint.scanning.memory import usage
from archlint.scanning.processes import Limits, Processes
from archlint.scanning.spawning import Spawning
from archlint.scanning.tasks import Outcome, Task

from . import fakes
from .conftest import processes, reasons, reports, scanned

PATIENCE = 30.0
"""Seconds that anything here takes at most, on a busy machine."""

linux = pytest.mark.skipif(sys.platform != "linux", reason="what asks the kernel of Linux")


def until(happened: Callable[[], object]) -> None:
    """Wait until something is so."""
    limit = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < limit, "it did not come"
        time.sleep(0.01)


def told(file: Path) -> int:
    """The number of the process that a model has told of."""
    until(file.exists)
    return int(file.read_text())


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_each_has_its_report_in_the_order_of_the_list() -> None:
    sources = ["wait:0.4", "error", "wait:0.1", "fine"]
    _, lines = scanned(sources, processes(jobs=4))
    assert [one["source"] for one in reports(lines)] == sources
    assert [one["status"] for one in reports(lines)] == ["clean", "findings", "clean", "clean"]


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("crash", "its process was ended by SIGSEGV (segmentation fault)"),
        ("exit:0", "its code ended the process with exit code 0, and there is no report"),
        ("exit:7", "its code ended the process with exit code 7, and there is no report"),
        ("sys-exit:7", "its code called sys.exit(7)"),
        ("raise:so", "archlint itself failed: ValueError: so"),
        ("memory-error", jobs.OUT_OF_MEMORY),
        ("interrupt", "its code raised KeyboardInterrupt"),
        ("answer:deep", "its code ended the process with exit code 0, and there is no report"),
        ("answer:[]", "its code ended the process with exit code 0, and there is no report"),
    ],
)
def test_a_model_that_breaks_is_not_checked_and_costs_no_other(source: str, why: str) -> None:
    _, lines = scanned(["one", source, "two"], processes())
    assert reasons(lines) == {source: why}
    assert [one["status"] for one in reports(lines)] == ["clean", "unchecked", "clean"]


def test_a_hang_is_ended_while_others_go_on() -> None:
    _, lines = scanned(["wait:600", *(f"quick-{number}" for number in range(8))], processes(seconds=0.5))
    assert reasons(lines) == {"wait:600": "it took more than 0.5 s, and was ended"}


def test_memory_hunger_is_ended_and_no_finding() -> None:
    sources = ["grow:400", "growing-child:400", "fine"]
    _, lines = scanned(sources, processes(memory=200 * 2**20))
    assert set(reasons(lines).values()) == {"it took more than 0.195 GiB of memory, and was ended"}
    assert [one["status"] for one in reports(lines)] == ["unchecked", "unchecked", "clean"]
    assert not any(one["findings"] for one in reports(lines))


def test_what_a_model_prints_is_nobodys_business(capfd: pytest.CaptureFixture[str]) -> None:
    _, lines = scanned(["print"], processes())
    assert reasons(lines) == {}
    assert capfd.readouterr() == ("", "")


def test_processes_that_a_model_started_end_with_it(tmp_path: Path) -> None:
    _, lines = scanned([f"child:{tmp_path / 'pid'}"], processes(seconds=2))
    assert len(reasons(lines)) == 1
    assert is_gone(told(tmp_path / "pid"))


@linux
def test_a_process_that_a_model_left_behind_is_ended(tmp_path: Path) -> None:
    _, lines = scanned([f"daemon:{tmp_path / 'pid'}"], processes())
    assert reasons(lines) == {}
    pid = told(tmp_path / "pid")
    until(lambda: is_gone(pid))


def test_what_ends_the_server_is_lost_alone(tmp_path: Path) -> None:
    counted = tmp_path / "counted"
    sources = ["one", f"count:{counted}", "kill-parent", "wait:0.2", "two"]
    _, lines = scanned(sources, processes(jobs=3))
    assert reasons(lines) == {"kill-parent": "it ended the process that models are forked from"}
    assert [one["source"] for one in reports(lines)] == sources


def test_what_stops_the_server_is_lost_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forking, "_DEAF", 0.5)
    monkeypatch.setattr(forking, "_PATIENCE", 0.5)
    sources = ["one", "stop-parent", "wait:0.2", "two"]
    _, lines = scanned(sources, processes(jobs=2, seconds=3))
    assert reasons(lines) == {"stop-parent": "it took more than 3 s, and was ended"}
    assert [one["source"] for one in reports(lines)] == sources


def test_a_model_that_is_killed_from_elsewhere_is_run_again(tmp_path: Path) -> None:
    engine = processes(jobs=2)
    file = tmp_path / "pid"
    running = engine.run(iter([task(0, f"hang-once:{file}"), task(1, "wait:0.2"), task(2, "fine")]))
    outcomes = []
    for outcome in running:
        outcomes += [] if outcome is None else [outcome]
        if file.exists():
            file.with_suffix(".killed").touch()
            os.kill(int(file.read_text()), signal.SIGKILL)
            file.unlink()
    assert [outcome.lost for outcome in outcomes] == [""] * 3


def test_a_model_that_kills_itself_is_lost_when_it_does_so_alone(tmp_path: Path) -> None:
    source = f"kill-self:{tmp_path / 'counted'}"
    _, lines = scanned(["one", source, "two"], processes())
    assert reasons(lines) == {source: "its process was ended by SIGKILL (killed) or the system ran out of memory"}
    assert (tmp_path / "counted").read_bytes() == b".."


def test_an_answer_of_no_report_is_told() -> None:
    _, lines = scanned(["answer:none", "fine"], processes())
    assert reasons(lines).keys() == {"answer:none"}
    assert reasons(lines)["answer:none"].startswith("its report cannot be read: ")


def test_a_report_that_is_larger_than_any_model_s_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "LARGEST", 100)
    said = json.loads(jobs.answer(jobs.pack(fakes.check, "fine", Options())))
    assert said == {"lost": "its report is larger than 0 MiB"}


def test_a_killed_server_is_started_again(tmp_path: Path) -> None:
    launcher = Forking(fakes.WARM)
    engine = Processes(launcher, jobs=2, limits=Limits(), usage=usage)
    killed = []

    def tasks() -> Iterator[Task | None]:
        for number in range(6):
            yield task(number, "wait:0.1")
            if number == 2:
                until(lambda: launcher.server)
                killed.append(launcher.server)
                os.kill(launcher.server or 0, signal.SIGKILL)

    outcomes = [outcome for outcome in engine.run(tasks()) if outcome is not None]
    assert sorted(outcome.number for outcome in outcomes) == list(range(6))
    assert [outcome.lost for outcome in outcomes] == [""] * 6
    assert is_gone(killed[0])


def test_a_server_that_cannot_begin_is_told() -> None:
    engine = Processes(Forking(["there_is_no_such_module"]), jobs=1, limits=Limits(), usage=usage)
    with pytest.raises(LaunchError, match="No module named 'there_is_no_such_module'"):
        list(engine.run(iter([task(0, "fine")])))


def test_closing_ends_all_that_runs(tmp_path: Path) -> None:
    launcher = Forking(fakes.WARM)
    engine = Processes(launcher, jobs=2, limits=Limits(), usage=usage)
    running = engine.run(iter([task(0, f"child:{tmp_path / 'grandchild'}"), task(1, f"hang:{tmp_path / 'child'}")]))
    next(running)
    while not ((tmp_path / "grandchild").exists() and (tmp_path / "child").exists()):
        next(running)
    pids = [launcher.server or 0, told(tmp_path / "grandchild"), told(tmp_path / "child")]
    assert not any(map(is_gone, pids))
    running.close()
    assert all(map(is_gone, pids))


def test_what_runs_is_named() -> None:
    engine = processes(jobs=2)
    running = engine.run(iter([task(0, "wait:600"), task(1, "wait:500"), task(2, "fine")]))
    next(running)
    assert engine.running() == ["wait:600", "wait:500"]
    running.close()


def test_without_a_fork_it_is_the_same() -> None:
    limits = Limits(seconds=PATIENCE, memory=500 * 2**20)
    sources = ["error", "crash", "print", "grow:800", "sys-exit:7"]
    _, lines = scanned(sources, Processes(Spawning(), jobs=3, limits=limits, usage=usage))
    assert [one["source"] for one in reports(lines)] == sources
    assert reasons(lines) == {
        "crash": "its process was ended by SIGSEGV (segmentation fault)",
        "grow:800": "it took more than 0.488 GiB of memory, and was ended",
        "sys-exit:7": "its code called sys.exit(7)",
    }


@linux
def test_the_kernel_is_offered_models_first(tmp_path: Path) -> None:
    engine = processes(jobs=1)
    running = engine.run(iter([task(0, f"hang:{tmp_path / 'pid'}")]))
    while not (tmp_path / "pid").exists():
        next(running)
    assert Path(f"/proc/{told(tmp_path / 'pid')}/oom_score_adj").read_text().strip() == "1000"
    running.close()


def task(number: int, source: str) -> Task:
    return Task(number, source, jobs.pack(fakes.check, source, Options()))


def test_an_outcome_has_its_processor_time() -> None:
    (outcome,) = (one for one in processes().run(iter([task(0, "fine")])) if isinstance(one, Outcome))
    assert outcome.seconds > 0
