"""How far a scan is: live on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import io
import re
import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest

from archlint.cli import scan_progress
from archlint.cli.scan_progress import shown
from archlint.scanning.scan import Progress
from archlint.scanning.told import Told


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def scan(models: int, running: list[str]) -> Any:
    progress = Progress(began=time.monotonic() - 10, twice=1)
    for _ in range(models):
        progress.tally.add(Told("clean", "net", {"info": 2}, {"ARC201": "info"}, "info"))
    return SimpleNamespace(progress=progress, running=lambda: running)


def told(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, what: Any, total: int) -> str:
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(scan_progress, "_TOLD", 0.0)
    monkeypatch.setattr(scan_progress, "_REDRAWN", 0.0)
    with shown(what, lambda: iter(range(total))) as show:
        limit = time.monotonic() + 30
        while show._total is None and time.monotonic() < limit:
            time.sleep(0.001)
        show.tick()
        show.end()
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())


def test_a_terminal_shows_how_far_it_is_and_what_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    names = [f"org/model-{number}" for number in range(10)]
    text = told(monkeypatch, Terminal(), scan(20, ["evil\x1b[2J" + "x" * 99, *names]), 121)
    assert re.search(r"21 of 121, 2\.\d/s, 0:00:(49|50) left", text)
    assert "20 models: 20 clean, 40 infos" in text
    assert "evil\\x1b[2J" in text
    assert "org/model-6" in text
    assert "org/model-7" not in text
    assert "and 3 more" in text


def test_results_go_where_they_went_before(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    with shown(scan(1, []), None) as show:
        show.tick()
        print("a result")
    assert capsys.readouterr().out == "a result\n"


@pytest.mark.parametrize(("to_file", "is_live"), [(True, True), (False, False)])
def test_a_terminal_of_both_is_shown_it_where_results_go_to_a_file(
    monkeypatch: pytest.MonkeyPatch, to_file: bool, is_live: bool
) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setattr(scan_progress, "_TOLD", 1e9)
    monkeypatch.setattr(scan_progress, "_REDRAWN", 0.0)
    with shown(scan(1, ["net"]), None, to_file=to_file) as show:
        show.tick()
    assert ("net" in stream.getvalue()) is is_live


def test_elsewhere_it_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    text = told(monkeypatch, io.StringIO(), scan(20, ["org/model"]), 121)
    assert re.fullmatch(r"21 of 121, 2\.\d/s, 0:00:\d\d left: 20 models: 20 clean, 40 infos\n", text)


def test_a_list_that_can_be_read_once_has_no_total(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(scan_progress, "_TOLD", 0.0)
    with shown(scan(3, []), None) as show:
        show.tick()
    assert re.fullmatch(r"4, 0\.\d/s: 3 models: 3 clean, 6 infos\n", stream.getvalue())
