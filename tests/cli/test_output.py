"""Writing results: whole or not at all, and where they were asked for."""

from __future__ import annotations

import errno
import io
import os
import shutil
import stat
import sys
from pathlib import Path

import click
import pytest

from archlint.cli import output


def test_a_file_is_replaced_and_keeps_its_permissions(tmp_path: Path) -> None:
    file = tmp_path / "out"
    file.write_text("old")
    file.chmod(0o640)
    output.write(file, "new\n")
    assert file.read_text() == "new\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_a_new_file_is_as_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        output.write(tmp_path / "out", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o640


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    output.write(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_a_device_is_written_into_and_not_replaced() -> None:
    output.write(Path(os.devnull), "x")
    assert not Path(os.devnull).is_file()


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "out"
    file.write_text("old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(click.UsageError, match="No space left on device"):
        output.write(file, "new")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_what_no_encoding_has_is_written_all_the_same(tmp_path: Path) -> None:
    output.write(tmp_path / "out", "\ud800 ×")
    assert (tmp_path / "out").read_text(encoding="utf-8") == "\\ud800 ×"


@pytest.mark.parametrize("name", ["missing/out", "."])
def test_what_cannot_be_written_is_known_before(tmp_path: Path, name: str) -> None:
    with pytest.raises(click.UsageError):
        output.check_writable(tmp_path / name)


def test_what_can_be_written_passes(tmp_path: Path) -> None:
    output.check_writable(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_characters_that_a_stream_lacks() -> None:
    ascii_only = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    assert output.encodable("3 × a → b … é", ascii_only) == "3 x a -> b ... \\xe9"
    assert output.encodable("3 × a", io.TextIOWrapper(io.BytesIO(), encoding="utf-8")) == "3 × a"


def test_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "is_terminal", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert output.wants_color()
    monkeypatch.setenv("NO_COLOR", "1")
    assert not output.wants_color()


@pytest.mark.parametrize("columns", ["72", "0", "-5", "x", "", " 72 ", None])
def test_the_width_is_what_python_makes_of_it(columns: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if columns is None:
        monkeypatch.delenv("COLUMNS", raising=False)
    else:
        monkeypatch.setenv("COLUMNS", columns)
    assert output.width() == max(40, shutil.get_terminal_size((100, 24)).columns)


def test_the_width_of_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "72")
    assert output.width() == 72
    monkeypatch.setenv("COLUMNS", "3")
    assert output.width() == 40


class Refusing(io.StringIO):
    """A stream that takes nothing."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def write(self, _: str) -> int:
        raise self.error


def test_without_standard_output_results_go_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    output.emit("x")
    assert not output.is_terminal()
    assert not output.wants_color()


def test_what_standard_output_refuses_is_an_error_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Refusing(OSError(28, "No space left on device")))
    with pytest.raises(click.ClickException, match="standard output: No space left on device") as caught:
        output.emit("x")
    assert caught.value.exit_code == 2


def test_a_reader_who_has_left_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Refusing(BrokenPipeError(32, "Broken pipe")))
    output.emit("x")


def test_a_file_that_is_mounted_is_written_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def replace(self: Path, target: Path) -> Path:
        raise OSError(errno.EBUSY, "Device or resource busy")

    monkeypatch.setattr(Path, "replace", replace)
    (tmp_path / "out").write_text("what is longer")
    output.write(tmp_path / "out", "new\n")
    assert (tmp_path / "out").read_bytes() == b"new\n"
    assert [file.name for file in tmp_path.iterdir()] == ["out"]
