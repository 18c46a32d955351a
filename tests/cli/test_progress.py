"""The spinner: on a terminal only, on one line, whatever the source is called."""

from __future__ import annotations

import io
import re
import sys

import pytest

from archlint.cli.progress import progress

LONG = "/home/somebody/experiments/with-a-long-name/checkpoints/run-0000000001/model (2 of 3)"
STAGE = "running PEFT"


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, source: str, stage: str, columns: int) -> list[str]:
    """The lines that a terminal of so many columns is sent for a stage."""
    screen = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys, "stderr", screen)
    with progress() as tell:
        tell(source, stage)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())
    return [line for line in re.split(r"[\r\n]+", text) if line.strip()]


@pytest.mark.parametrize("columns", [20, 40, 80])
@pytest.mark.parametrize("source", ["short", LONG, "漢" * 60])
def test_a_stage_takes_one_line(monkeypatch: pytest.MonkeyPatch, source: str, columns: int) -> None:
    from rich.cells import cell_len

    lines = shown(monkeypatch, source, STAGE, columns)
    assert all(cell_len(line) < columns for line in lines)
    assert lines[-1].endswith(STAGE)


def test_a_long_source_is_shortened_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    line = shown(monkeypatch, LONG, STAGE, 60)[-1]
    assert re.search(r"/home/\S*…\S*/model \(2 of 3\): running PEFT$", line)
    assert LONG in shown(monkeypatch, LONG, STAGE, 140)[-1]


def test_a_stage_longer_than_the_line_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(monkeypatch, "some/model", "a stage of many words " * 4, 40)
    assert max(map(len, lines)) < 40
    assert "a stage" in lines[-1]


def test_without_a_terminal_nothing_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in (io.StringIO(), None):
        monkeypatch.setattr(sys, "stderr", stream)
        with progress() as tell:
            tell("some/model", STAGE)
        assert stream is None or stream.getvalue() == ""
