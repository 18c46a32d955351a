"""A scan that is killed at any moment leaves no process behind, and goes on to the same bytes."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from .test_processes import PATIENCE, is_gone, told, until

Command = Callable[..., "subprocess.Popen[bytes]"]
SOURCES = [f"{'error' if number % 7 == 0 else 'wait'}:0.0{number % 3}~{number}" for number in range(20)]
SOURCES = [source.replace("~", f"-{number}~") if number % 2 else source for number, source in enumerate(SOURCES)]

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals")


def finished(process: subprocess.Popen[bytes]) -> tuple[int, bytes, bytes]:
    out, error = process.communicate(timeout=PATIENCE * 2)
    return process.returncode, out, error


def below(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


@pytest.fixture
def lists(tmp_path: Path) -> str:
    (tmp_path / "list.txt").write_text("\n".join(SOURCES))
    return str(tmp_path / "list.txt")


@posix
def test_killed_at_random_moments_a_scan_ends_with_the_same_bytes(command: Command, lists: str, tmp_path: Path) -> None:
    whole, file = tmp_path / "whole.jsonl", tmp_path / "scan.jsonl"
    began = time.monotonic()
    assert finished(command(lists, "-o", str(whole)))[0] == 1
    lasted = time.monotonic() - began
    randoms = random.Random(9)
    for _ in range(8):
        process = command(lists, "-o", str(file), "--resume", "--jobs", "3")
        time.sleep(lasted * randoms.uniform(0.3, 1.0))
        left = below(process)
        process.kill()
        process.communicate()
        until(lambda left=left: all(is_gone(one.pid) for one in left))
    code, out, _ = finished(command(lists, "-o", str(file), "--resume"))
    assert (code, out) == (1, b"")
    assert file.read_bytes() == whole.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"list.txt", "whole.jsonl", "scan.jsonl"}


@posix
def test_killed_one_process_after_the_other_a_scan_has_no_results_that_are_due_to_that(
    command: Command, tmp_path: Path
) -> None:
    file, (one, two) = tmp_path / "scan.jsonl", (tmp_path / "one", tmp_path / "two")
    process = command(f"hang:{one}", "fine", f"hang:{two}", "-o", str(file), "--jobs", "2")
    models = [told(one), told(two)]
    until(lambda: file.read_bytes().count(b"\n") == 1)
    (server,) = psutil.Process(process.pid).children()
    for pid in (*models, server.pid, process.pid):
        os.kill(pid, signal.SIGKILL)
        time.sleep(0.2)
    assert [json.loads(line)["reports"][0]["source"] for line in file.read_bytes().splitlines()] == ["fine"]


@posix
def test_a_kill_leaves_no_process_behind(command: Command, tmp_path: Path) -> None:
    process = command(f"child:{tmp_path / 'grandchild'}", f"hang:{tmp_path / 'child'}", "-j", "2")
    pids = [told(tmp_path / "grandchild"), told(tmp_path / "child"), *(one.pid for one in below(process))]
    assert len(set(pids)) >= 4, "a server and what it has forked"
    process.kill()
    until(lambda: all(map(is_gone, pids)))


@posix
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_what_runs_and_tells_how_to_go_on(
    command: Command, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    file = tmp_path / "scan.jsonl"
    arguments = ("error", f"hang:{tmp_path / 'pid'}", "fine", "-o", str(file))
    process = command(*arguments)
    pids = [told(tmp_path / "pid"), *(one.pid for one in below(process))]
    until(lambda: file.read_bytes().count(b"\n") == 2)
    process.send_signal(number)
    ended, out, error = finished(process)
    assert (ended, out) == (code, b"")
    assert error.decode().splitlines()[-1] == (
        f"interrupted after 2 models: 1 clean, 1 with findings, 1 error: written to {file}; go on with --resume"
    )
    assert all(map(is_gone, pids))
    assert b"Traceback" not in error


@posix
def test_what_is_done_is_out_when_a_stream_is_interrupted(command: Command, tmp_path: Path) -> None:
    process = command("error", f"hang:{tmp_path / 'pid'}", "-j", "2")
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["reports"][0]["source"] == "error"
    told(tmp_path / "pid")
    process.send_signal(signal.SIGINT)
    code, out, _ = finished(process)
    assert (code, out) == (130, b"")


@posix
def test_a_terminal_interrupts_the_whole_group_and_models_say_nothing(tmp_path: Path) -> None:
    from .conftest import PROGRAM

    line = [sys.executable, "-c", PROGRAM, "scan", "--isolated", f"hang:{tmp_path / 'pid'}"]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    told(tmp_path / "pid")
    os.killpg(process.pid, signal.SIGINT)
    code, out, error = finished(process)
    assert (code, out) == (130, b"")
    assert error.decode().splitlines() == ["interrupted after 0 models: nothing"]


@posix
def test_a_reader_who_leaves_early_ends_the_scan(command: Command, tmp_path: Path) -> None:
    (tmp_path / "list").write_text("\n".join(f"wait:0.{number:04}" for number in range(500)))
    process = command(str(tmp_path / "list"), "-j", "2")
    assert process.stdout is not None
    assert process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    error = process.stderr.read()
    assert process.wait(PATIENCE) == 0
    assert b"Traceback" not in error
    assert b"500 models" not in error


@posix
def test_two_scans_on_one_file(command: Command, tmp_path: Path) -> None:
    file = str(tmp_path / "scan.jsonl")
    command(f"hang:{tmp_path / 'pid'}", "-o", file)
    told(tmp_path / "pid")
    code, _, error = finished(command("fine", "-o", file, "--resume"))
    assert code == 2
    assert b"another scan writes there just now" in error
