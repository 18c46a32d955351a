"""Formats of a report a line: each is out before the next source begins, whatever becomes of that."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from archlint.cli.rendering import STREAMS

from .conftest import Call, Engine

PROGRAM = """
import sys
import archlint.engine
from archlint.cli import main
from archlint.core.report import Report, Unchecked

def check(source, options):
    if source == "waits":
        sys.stdin.read()  # what a pipe gives ends when the test says so
    return Report(source, unchecked=(Unchecked("it", "it is a test"),))

archlint.engine.check = check
main()
"""


def started(*arguments: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", PROGRAM, "--isolated", *arguments]
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


@pytest.fixture
def waiting() -> Iterator[subprocess.Popen[str]]:
    """A run that has done one source of three, and waits in the second."""
    process = started("done", "waits", "other", "--format", "jsonl")
    yield process
    process.kill()
    process.communicate()


def line(stream: IO[str] | None) -> dict[str, object]:
    assert stream is not None
    document: dict[str, object] = json.loads(stream.readline())["reports"][0]
    return document


def test_a_line_is_out_before_the_next_source_begins(waiting: subprocess.Popen[str]) -> None:
    assert line(waiting.stdout)["source"] == "done"
    out, error = waiting.communicate()  # which closes its standard input
    assert [json.loads(one)["reports"][0]["source"] for one in out.splitlines()] == ["waits", "other"]
    assert (waiting.returncode, error) == (3, "")


def test_what_was_done_is_out_when_a_run_is_interrupted(waiting: subprocess.Popen[str]) -> None:
    assert line(waiting.stdout)["source"] == "done"
    waiting.send_signal(signal.SIGINT)
    assert waiting.wait(timeout=60) == 130
    assert waiting.stdout is not None
    assert waiting.stdout.read() == ""


@pytest.mark.parametrize("style", STREAMS)
def test_a_stream_is_what_the_file_is(call: Call, engine: Engine, tmp_path: Path, style: str) -> None:
    file = tmp_path / "out"
    streamed = call("error", "gone", "fine", "--format", style)
    whole = call("error", "gone", "fine", "--format", style, "--output", str(file))
    assert file.read_text(encoding="utf-8") == streamed.stdout != ""
    assert whole.exit_code == streamed.exit_code == 1


def test_a_file_is_not_written_before_all_is_done(
    call: Call, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "out.jsonl"
    file.write_text("before")
    check = engine.check

    def interrupted(source: str, options: object) -> object:
        if source == "second":
            raise KeyboardInterrupt
        return check(source, options)  # type: ignore[arg-type]

    monkeypatch.setattr("archlint.engine.check", interrupted)
    assert call("first", "second", "--format", "jsonl", "--output", str(file)).exit_code == 130
    assert file.read_text() == "before"
    assert list(tmp_path.iterdir()) == [file]


def test_what_is_known_is_left_out_of_a_stream(call: Call, engine: Engine, tmp_path: Path) -> None:
    known = str(tmp_path / "known.json")
    for option in ("--write-baseline", "--baseline"):
        result = call("error", "warning", "--format", "jsonl", option, known)
        assert result.exit_code == 0
        assert [json.loads(one)["reports"][0]["findings"] for one in result.stdout.splitlines()] == [[], []]
