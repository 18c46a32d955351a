"""``--write-baseline`` and ``--baseline``: after the first, the second is silent until something new comes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from archlint.cli.rendering import FORMATS

from .conftest import Call, Engine


def test_what_was_written_is_known_and_only_what_is_new_fails(call: Call, engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "known.json"
    first = call("error-warning", "--write-baseline", str(file))

    assert first.exit_code == 0
    assert first.stderr == f"findings that are known: 2, written to {file}\n"
    assert {one["code"] for one in json.loads(file.read_text())["findings"]} == {"ARC101", "ARC601"}

    again = call("error-warning", "--baseline", str(file), "--fail-on", "info")
    assert again.exit_code == 0
    assert "ARC101" not in again.stdout
    assert "2 known: in the baseline, and not shown" in again.stdout
    assert call("error-warning", "error", "--baseline", str(file)).exit_code == 1, "another source"


@pytest.mark.parametrize("style", FORMATS)
def test_no_format_shows_what_is_known(call: Call, engine: Engine, tmp_path: Path, style: str) -> None:
    file = tmp_path / "known.json"
    call("error", "--write-baseline", str(file))
    shown = call("error", "--baseline", str(file), "--format", style)

    assert shown.exit_code == 0
    assert "something × is so" not in shown.stdout


def test_a_source_that_could_not_be_checked_ends_as_ever_and_stays_known(
    call: Call, engine: Engine, tmp_path: Path
) -> None:
    file = tmp_path / "known.json"
    call("error", "--write-baseline", str(file))
    written = file.read_text()
    result = call("gone", "--write-baseline", str(file))

    assert result.exit_code == 3
    assert file.read_text() == written


def test_what_is_gone_leaves_and_what_was_not_looked_for_stays(
    call: Call, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "known.json"
    call("error-warning", "--write-baseline", str(file))
    mended = dataclasses.replace(engine.check("fine", engine.options), source="error-warning")
    monkeypatch.setattr("archlint.engine.check", lambda source, options: mended)

    told = call("error-warning", "--baseline", str(file), "--select", "ARC101")
    assert "the baseline's ARC101 is mended: something × is so" in told.stdout
    assert "ARC601" not in told.stdout
    call("error-warning", "--write-baseline", str(file), "--select", "ARC101")
    assert {one["code"] for one in json.loads(file.read_text())["findings"]} == {"ARC601"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["x", "--baseline", "{file}"], "is no archlint/baseline/v1"),
        (["x", "--write-baseline", "{file}"], "--write-baseline {file} is no archlint/baseline/v1"),
        (["x", "--baseline", "{file}", "--write-baseline", "{file}"], "give one of them"),
        (["x", "--baseline", "/no/such/file"], "does not exist"),
        (["x", "--write-baseline", "/no/such/folder/file"], "--write-baseline /no/such/folder/file: the folder"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_checked(
    call: Call, engine: Engine, tmp_path: Path, arguments: list[str], says: str
) -> None:
    file = tmp_path / "report.json"
    file.write_text('{"schema": "archlint/report/v1"}')
    result = call(*(argument.format(file=file) for argument in arguments))

    assert result.exit_code == 2
    assert says.format(file=file) in result.stderr
    assert engine.calls == []
