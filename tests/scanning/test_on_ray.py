"""A scan on a cluster: the same bytes, whatever becomes of its workers, and a Ray of one's own ends with it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from click.testing import CliRunner

from archlint import surroundings
from archlint.cli.app import app
from archlint.scanning.launching import LaunchError
from archlint.scanning.on_ray import cluster, engine
from archlint.scanning.on_ray.engine import OnRay
from archlint.scanning.on_ray.worker import Setup
from archlint.scanning.processes import Limits

from . import deadly, fakes
from .conftest import ROOT, processes, reasons, reports, scanned
from .test_processes import PATIENCE, is_gone, task, told

Command = Callable[..., "subprocess.Popen[bytes]"]


def until(happened: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait until something is so."""
    limit = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < limit, "it did not come"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """A Ray of two processors, in which a worker has one."""
    ray = pytest.importorskip("ray", reason="Ray is not installed")
    surroundings._installed.cache_clear()  # which a test before may have asked for among packages of its own
    before = psutil.Process().children(recursive=True)
    with pytest.MonkeyPatch.context() as patch, cluster.joined(2):
        patch.setattr(engine, "_SHARE", 1)
        patch.setattr(fakes, "IDENTITY", deadly.IDENTITY)
        yield ray
    left = [one.pid for one in psutil.Process().children(recursive=True) if one not in before]
    until(lambda: all(map(is_gone, left)))


def on_ray(jobs: int = 2, **limits: Any) -> OnRay:
    return OnRay(jobs=jobs, setup=Setup.here(Limits(**limits), fakes.WARM))


def workers(ray: Any) -> int:
    """How many processors are taken."""
    return int(2 - ray.available_resources().get("CPU", 0))


def test_lines_are_those_of_processes(ray: Any, capfd: pytest.CaptureFixture[str]) -> None:
    sources = ["wait:0.4", "error", "crash", "a~1", "a~2", "exit:7", "print", "raise:so", "gone", "wait:600", "fine"]
    _, lines = scanned(sources, on_ray(seconds=3))
    assert lines == scanned(sources, processes(seconds=3))[1]
    assert len(reasons(lines)) == 5
    assert capfd.readouterr() == ("", "")
    until(lambda: workers(ray) == 0)
    assert ray.is_initialized(), "it was there before"


def test_a_worker_that_is_killed_costs_nothing(ray: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    deaths = [f"deadly:{tmp_path / str(number)}" for number in range(2)]
    sources = ["wait:0.3", "error", deaths[0], *(f"wait:0.1-{n}".partition("-")[0] + f"~{n}" for n in range(5))]
    sources += [deaths[1], *(f"count:{tmp_path / 'counted'}{n}" for n in range(4))]
    scan, lines = scanned(sources, on_ray())
    assert [one["source"] for one in reports(lines)] == sources
    assert reasons(lines) == {}
    assert lines == scanned(sources, processes())[1]
    assert scan.progress.run == len(sources) - 4, "those alike once"
    assert capfd.readouterr() == ("", ""), "though Ray has much to say on it"


def test_what_ends_each_of_its_workers_is_lost_alone(ray: Any) -> None:
    sources = ["one", "deadly", "wait:0.2", "two", "wait:0.1"]
    _, lines = scanned(sources, on_ray())
    assert [one["source"] for one in reports(lines)] == sources
    assert reasons(lines) == {"deadly": "each of 3 Ray workers that it was given to has ended"}


def test_a_node_with_something_else_is_refused(ray: Any) -> None:
    other = on_ray()
    here = other._setup
    for setup, why in [
        (replace(here, versions={**here.versions, "torch": "2.0.1"}), r"has torch \S+ \(2.0.1\)"),
        (replace(here, digests=["", here.digests[1]]), "has an archlint whose code is another"),
        (replace(here, digests=[here.digests[0], ""]), "has other packages"),
    ]:
        with pytest.raises(LaunchError, match=f"the Ray cluster would give other results: .* {why}"):
            scanned(["fine"], OnRay(jobs=1, setup=setup))


def test_a_node_where_nothing_can_be_started_is_told(ray: Any) -> None:
    with pytest.raises(LaunchError, match="No module named 'there_is_no_such_module'"):
        scanned(["fine"], OnRay(jobs=1, setup=Setup.here(Limits(), ["there_is_no_such_module"])))


def test_variables_of_a_node_are_those_of_the_command(ray: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    _, lines = scanned(["fine"], on_ray())
    assert reasons(lines) == {}, "or it would be refused"


def test_closing_ends_all_that_runs(ray: Any, tmp_path: Path) -> None:
    running = on_ray().run(iter([task(0, f"child:{tmp_path / 'grandchild'}"), task(1, f"hang:{tmp_path / 'child'}")]))
    while not ((tmp_path / "grandchild").exists() and (tmp_path / "child").exists()):
        next(running)
    pids = [told(tmp_path / "grandchild"), told(tmp_path / "child")]
    pids += [psutil.Process(pids[1]).ppid()]
    assert not any(map(is_gone, pids))
    running.close()
    assert all(map(is_gone, pids))
    until(lambda: workers(ray) == 0)


def test_real_types_have_the_bytes_of_processes(ray: Any, tmp_path: Path) -> None:
    lines = []
    for name in ("processes", "ray"):
        ended = subprocess.run(
            [sys.executable, "-m", "archlint", "scan", "--isolated", "type:gpt2", "type:opt", "--engine", name],
            cwd=ROOT,
            env={
                **os.environ,
                "ARCHLINT_CACHE_DIR": str(tmp_path / name),
                "RAY_ADDRESS": ray.get_runtime_context().gcs_address,
            },
            capture_output=True,
            timeout=PATIENCE * 4,
        )
        assert ended.stderr.decode().splitlines()[-1].startswith("2 models: ")
        assert all(line[0].isdigit() for line in ended.stderr.decode().splitlines()), "nothing of Ray's"
        lines.append(ended.stdout)
    assert lines[0] == lines[1]
    assert [one["source"] for one in reports(lines[0])] == ["type:gpt2", "type:opt"]
    until(lambda: workers(ray) == 0)


def test_a_ray_of_its_own_ends_with_an_interrupted_command(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    monkeypatch.setenv("RAY_ADDRESS", "local")
    process = command("fine", f"hang:{tmp_path / 'pid'}", "--engine", "ray", "--jobs", "2")
    until((tmp_path / "pid").exists, PATIENCE * 4)
    started = [told(tmp_path / "pid"), *(one.pid for one in psutil.Process(process.pid).children(recursive=True))]
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=PATIENCE * 2)
    assert process.returncode == 130
    done = len(reports(out))  # the other one may be on its way still
    assert re.fullmatch(rf"interrupted after {done} models?: .*", error.decode().splitlines()[-1])
    assert b"Traceback" not in error
    until(lambda: all(map(is_gone, started)))


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    ended = CliRunner().invoke(app, ["scan", "type:gpt2", "--engine", "ray"])
    assert ended.exit_code == 2
    assert "pip install 'archlint[ray]'" in ended.output


def test_one_module_imports_ray() -> None:
    found = {
        str(path.relative_to(ROOT))
        for folder in ("archlint", "rules")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"^\s*(import|from) ray\b", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert found == {"archlint/scanning/on_ray/cluster.py"}
