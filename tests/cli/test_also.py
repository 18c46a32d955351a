"""One run in several formats."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Call, Engine


def test_each_format_is_what_it_would_be_alone(call: Call, engine: Engine, tmp_path: Path) -> None:
    files = {style: tmp_path / f"report.{style}" for style in ("json", "sarif", "full")}
    done = call("error", "--format", "concise", *(f"--also={style}={file}" for style, file in files.items()))
    assert done.exit_code == 1
    assert engine.sources == ["error"]
    assert done.stdout == call("error", "--format", "concise").stdout
    for style, file in files.items():
        assert file.read_text(encoding="utf-8") == call("error", "--format", style).stdout
    assert json.loads(files["json"].read_text())["summary"]["errors"] == 1


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("sarif", "'sarif' is no FORMAT=FILE, such as sarif=archlint.sarif."),
        ("sarif=", "'sarif=' is no FORMAT=FILE"),
        ("=file", "'=file' is no FORMAT=FILE"),
        ("word=file", "'word=file': 'word' is not one of 'full', 'concise', "),
        ("sarif=none/such", "--also none/such: the folder"),
    ],
)
def test_what_is_no_format_and_file_is_wrong_usage(call: Call, engine: Engine, value: str, said: str) -> None:
    done = call("error", "--also", value)
    assert (done.exit_code, engine.calls) == (2, [])
    assert said in done.stderr


def test_a_file_is_named_once(call: Call, engine: Engine, tmp_path: Path) -> None:
    done = call("error", f"--also=json={tmp_path}/a", f"--also=sarif={tmp_path}/a")
    assert (done.exit_code, engine.calls) == (2, [])
    assert "is named twice" in done.stderr


def test_a_diff_is_no_report(call: Call, tmp_path: Path) -> None:
    (tmp_path / "train.yml").write_text("base_model: some/model\nadapter: lora\n")
    done = call("--adapter-config", f"{tmp_path}/train.yml", "--diff", f"--also=json={tmp_path}/a")
    assert done.exit_code == 2
    assert "--diff prints a diff, and takes no --also." in done.stderr


@pytest.mark.parametrize("option", ["--output", "--write-baseline"])
def test_two_options_do_not_write_to_one_file(call: Call, engine: Engine, tmp_path: Path, option: str) -> None:
    done = call("error", f"--also=json={tmp_path}/a", option, f"{tmp_path}/../{tmp_path.name}/a")
    assert (done.exit_code, engine.calls) == (2, [])
    assert f"is the file of {option} too." in done.stderr
