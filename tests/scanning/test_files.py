"""A file of results: whatever a kill leaves of it, the scan that goes on ends with the same bytes."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archlint.options import Options
from archlint.scanning.files import ResultFile, ResultFileError
from archlint.scanning.index import Index
from archlint.scanning.scan import MixedError
from archlint.scanning.tasks import Outcome, Task

from .conftest import Here, reports, scanned

SOURCES = ["a~1", "error", "gone", "a~2", "b~1", "fine", "warning", "b~2", "info", "c", "d", "e"]
reused = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What a scan that nobody disturbs writes."""
    return scanned(SOURCES, output=tmp_path_factory.mktemp("whole") / "scan.jsonl")[1]


class Stopping(Here):
    """An engine that stops dead behind so many outcomes."""

    def __init__(self, outcomes: int) -> None:
        super().__init__()
        self.left = outcomes

    def run(self, tasks: Iterator[Task | None]) -> Iterator[Outcome | None]:
        for outcome in super().run(tasks):
            if outcome is not None:
                if not self.left:
                    raise KeyboardInterrupt
                self.left -= 1
            yield outcome


def test_a_file_holds_what_a_stream_does(whole: bytes) -> None:
    assert whole == scanned(SOURCES)[1]


def test_nothing_is_left_beside_it(tmp_path: Path) -> None:
    scanned(SOURCES, output=tmp_path / "scan.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["scan.jsonl"]


@reused
@given(data=st.data())
def test_a_scan_goes_on_from_whatever_a_kill_left(tmp_path: Path, whole: bytes, data: st.DataObject) -> None:
    file = tmp_path / "scan.jsonl"
    file.unlink(missing_ok=True)
    with pytest.raises(KeyboardInterrupt):
        scanned(SOURCES, Stopping(data.draw(st.integers(0, 7))), output=file)
    written = file.read_bytes()
    file.write_bytes(written[: data.draw(st.integers(0, len(written)))])
    if data.draw(st.booleans()):
        (tmp_path / ".scan.jsonl.ordered").write_bytes(whole[:100])
    assert scanned(SOURCES, output=file, resume=True)[1] == whole
    assert [path.name for path in tmp_path.iterdir()] == ["scan.jsonl"]


@reused
@given(order=st.permutations(range(len(SOURCES))), kept=st.integers(0, len(SOURCES)))
def test_lines_in_any_order_and_doubled_ones_are_put_right(
    tmp_path: Path, whole: bytes, order: list[int], kept: int
) -> None:
    lines = whole.splitlines(keepends=True)
    file = tmp_path / "scan.jsonl"
    file.write_bytes(b"".join([*(lines[number] for number in order[:kept]), *lines[:2]]))
    engine = Here()
    assert scanned(SOURCES, engine, output=file, resume=True)[1] == whole


def test_what_is_done_is_not_run_again(tmp_path: Path, whole: bytes) -> None:
    file = tmp_path / "scan.jsonl"
    file.write_bytes(whole)
    engine = Here()
    scan, _ = scanned(SOURCES, engine, output=file, resume=True)
    assert engine.ran == []
    assert scan.progress.resumed == len(SOURCES)
    assert str(scan.progress.tally) == str(scanned(SOURCES)[0].progress.tally)


def test_a_broken_line_is_dropped_wherever_it_is(tmp_path: Path, whole: bytes) -> None:
    lines = whole.splitlines(keepends=True)
    file = tmp_path / "scan.jsonl"
    file.write_bytes(b"".join([lines[0], lines[1][:50] + b"\n", b"\0" * 4096 + b"\n", *lines[3:], lines[2][:-1]]))
    index = Index()
    opened = ResultFile(file, index, resume=True)
    assert opened.dropped == 3
    opened.close()
    assert scanned(SOURCES, output=file, resume=True)[1] == whole


def test_results_of_other_sources_are_kept_at_the_end(tmp_path: Path, whole: bytes) -> None:
    file = tmp_path / "scan.jsonl"
    file.write_bytes(whole)
    _, lines = scanned(["new", "info", "error"], output=file, resume=True)
    found = [one["source"] for one in reports(lines)]
    assert found == ["new", "info", "error", *(one for one in SOURCES if one not in ("info", "error"))]


def test_results_of_other_options_are_not_mixed(tmp_path: Path, whole: bytes) -> None:
    file = tmp_path / "scan.jsonl"
    file.write_bytes(whole)
    with pytest.raises(MixedError, match="a~1"):
        scanned(SOURCES, output=file, resume=True, options=Options(prove=False))
    assert file.read_bytes() == whole


@pytest.mark.parametrize("resume", [False, True])
def test_what_is_no_scan_is_left_alone(tmp_path: Path, resume: bool) -> None:
    file = tmp_path / "scan.jsonl"
    reports, mark = '{"schema": "archlint/report/v1", "reports": []}\n', '{"scan": {"digest": 1}}\n'
    for content in (reports, "[]\n", mark, "org/model\norg/other\n", "# a list", "\n"):
        file.write_text(content)
        with pytest.raises(ResultFileError, match="something else" if resume else "--resume"):
            ResultFile(file, Index(), resume=resume)
        assert file.read_text() == content


def test_without_resume_a_scan_is_not_overwritten(tmp_path: Path, whole: bytes) -> None:
    file = tmp_path / "scan.jsonl"
    file.write_bytes(whole)
    with pytest.raises(ResultFileError, match="is there already: --resume goes on"):
        ResultFile(file, Index(), resume=False)
    assert file.read_bytes() == whole


def test_an_empty_file_is_taken(tmp_path: Path, whole: bytes) -> None:
    (tmp_path / "scan.jsonl").touch()
    assert scanned(SOURCES, output=tmp_path / "scan.jsonl")[1] == whole


@pytest.mark.skipif(sys.platform == "win32", reason="no lock there")
def test_two_scans_on_one_file_are_refused(tmp_path: Path) -> None:
    first = ResultFile(tmp_path / "scan.jsonl", Index(), resume=False)
    with pytest.raises(ResultFileError, match="another scan writes there"):
        ResultFile(tmp_path / "scan.jsonl", Index(), resume=True)
    first.close()
    ResultFile(tmp_path / "scan.jsonl", Index(), resume=True).close()


def test_a_link_stays_one_and_permissions_stay(tmp_path: Path, whole: bytes) -> None:
    (tmp_path / "real.jsonl").touch(mode=0o640)
    (tmp_path / "real.jsonl").chmod(0o640)
    (tmp_path / "link.jsonl").symlink_to("real.jsonl")
    scanned(SOURCES, output=tmp_path / "link.jsonl")
    assert (tmp_path / "link.jsonl").is_symlink()
    assert (tmp_path / "real.jsonl").read_bytes() == whole
    assert (tmp_path / "real.jsonl").stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="no such name there")
def test_a_name_of_standard_output_is_refused() -> None:
    command = [sys.executable, "-m", "archlint", "scan", "type:gpt2", "-o", "/dev/stdout"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "/dev/stdout is no file: leave it out" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
def test_what_is_no_file_is_refused() -> None:
    with pytest.raises(ResultFileError, match="is no file"):
        ResultFile(Path("/dev/full"), Index(), resume=False)


@pytest.mark.parametrize("at", ["append", "order"])
def test_a_full_disk_loses_nothing_that_was_written(
    tmp_path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    file = tmp_path / "scan.jsonl"
    write, left = os.write, [4 if at == "append" else 1000]

    def full(descriptor: int, content: bytes) -> int:
        if not left[0]:
            write(descriptor, content[:10])
            raise OSError(28, "No space left on device")
        left[0] -= 1
        return write(descriptor, content)

    monkeypatch.setattr(os, "write", full)
    if at == "order":
        monkeypatch.setattr(ResultFile, "_write_in_order", lambda _: full(0, b"") if left.clear() else _no_room())
    with pytest.raises(ResultFileError, match="No space left on device"):
        scanned(SOURCES, output=file)
    monkeypatch.undo()
    assert all(json.loads(line) for line in file.read_bytes().splitlines())
    assert len(file.read_bytes().splitlines()) == (4 if at == "append" else len(SOURCES))
    assert scanned(SOURCES, output=file, resume=True)[1] == whole


def test_a_disk_that_has_no_room_after_all_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: _no_room())
    with pytest.raises(ResultFileError, match="No space left on device"):
        scanned(SOURCES, output=tmp_path / "scan.jsonl")


def test_a_file_that_cannot_be_cut_is_told(tmp_path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scan.jsonl").write_bytes(whole[:-1])
    monkeypatch.setattr(os, "ftruncate", lambda *_: _no_room())
    with pytest.raises(ResultFileError, match="No space left on device"):
        ResultFile(tmp_path / "scan.jsonl", Index(), resume=True)


@pytest.mark.skipif(sys.platform == "win32", reason="no lock there")
def test_where_a_file_system_has_no_locks_a_scan_does_without(
    tmp_path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def refuse(*_: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert scanned(SOURCES, output=tmp_path / "scan.jsonl")[1] == whole


def _no_room() -> None:
    raise OSError(28, "No space left on device")


def test_many_entries_take_little_memory() -> None:
    import resource

    index = Index()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    randoms = random.Random(1)
    for number in range(200_000):
        assert index.is_new(randoms.randbytes(16), number)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 64 * 1024, "kilobytes"
    index.close()
