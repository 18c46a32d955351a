"""``archlint report`` and ``archlint diff``: stored reports in every format, and held side by side."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from archlint.cli.app import app
from archlint.core.report import Run
from archlint.report import json_document, json_lines, stored

from .conftest import CREATED, ENVIRONMENT, Call, Engine

FORMATS = ("full", "concise", "markdown", "sarif", "github", "gitlab", "junit", "json", "jsonl")


@pytest.fixture
def file(call: Call, engine: Engine, tmp_path: Path) -> Path:
    """The reports of one call."""
    path = tmp_path / "reports.jsonl"
    call("error", "warning", "gone", "--format", "jsonl", "--output", str(path))
    return path


@pytest.mark.parametrize("style", FORMATS)
def test_a_stored_report_is_rendered_as_the_run_was(call: Call, file: Path, style: str) -> None:
    again = call("report", str(file), "--format", style)
    assert again.exit_code == 0
    then = call("error", "warning", "gone", "--format", style)
    if style in ("json", "jsonl"):
        assert again.stdout == then.stdout
    elif style == "junit":  # which has a test for each rule that ran, and a stored report does not say which did
        assert again.stdout.count("<failure") == then.stdout.count("<failure") == 1
    elif style == "full":  # which ends in the exit code of a check
        assert again.stdout.splitlines() == then.stdout.splitlines()[:-1]
    else:
        assert again.stdout == then.stdout


def test_files_and_standard_input(call: Call, file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    done = CliRunner().invoke(app, ["report", "-", "--format", "concise"], input=text)
    assert (done.exit_code, done.stdout) == (0, call("report", str(file), "--format", "concise").stdout)
    done = CliRunner(charset="utf-8").invoke(app, ["report", "-"], input=b"\xff")
    assert (done.exit_code, done.stderr.split(":")[:2]) == (2, ["error", " standard input"])
    twice = call("report", str(file), str(file), "--format", "json")
    assert len(json.loads(twice.stdout)["reports"]) == 6


@pytest.mark.parametrize(("severity", "code"), [("error", 1), ("never", 3)])
def test_with_fail_on_it_judges(call: Call, file: Path, severity: str, code: int) -> None:
    assert call("report", str(file), "--fail-on", severity, "--format", "concise").exit_code == code


def test_versions_of_the_stack_do_not_mix(call: Call, file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    (run, *_) = stored.read(file)
    newer = dataclasses.replace(run, environment=dataclasses.replace(ENVIRONMENT, peft="0.30.0"))
    other.write_text(json_document.render(newer), encoding="utf-8")
    for style in ("json", "markdown"):
        done = call("report", str(file), str(other), "--format", style)
        assert done.exit_code == 2
        assert "several versions of the stack" in done.stderr
    for name in ("x.svg", "x.html"):
        done = call("report", str(file), str(other), "--output", str(tmp_path / name))
        assert (done.exit_code, (tmp_path / name).exists()) == (2, False)
        assert f"--output {tmp_path / name} has one" in done.stderr
    shown = call("report", str(file), str(other))
    assert shown.stdout.count("peft 0.21.2") >= 1
    assert shown.stdout.count("peft 0.30.0") >= 1
    lines = call("report", str(file), str(other), "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line)["environment"]["peft"] for line in lines] == ["0.21.2"] * 3 + ["0.30.0"]


@pytest.mark.parametrize("command", ["report", "diff"])
def test_what_is_no_report_is_wrong_usage(call: Call, file: Path, tmp_path: Path, command: str) -> None:
    other = tmp_path / "other.json"
    other.write_text("{}", encoding="utf-8")
    done = call(command, str(other), str(file))
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"error: {other}: the document is no report of --format json or jsonl: it has no schema\n" in done.stderr
    assert call(command, str(tmp_path / "none.json"), str(file)).exit_code == 2


def written(path: Path, *sources: str, call: Call) -> Path:
    call(*sources, "--format", "json", "--output", str(path))
    return path


def test_a_diff_fails_for_what_is_new(call: Call, engine: Engine, tmp_path: Path) -> None:
    fine, error = (written(tmp_path / f"{name}.json", name, call=call) for name in ("fine", "error"))
    done = call("diff", str(fine), str(error))
    assert done.exit_code == 1
    assert done.stdout.endswith("1 new · exit code 1\n")
    assert call("diff", str(fine), str(error), "--fail-on", "never").exit_code == 0
    back = call("diff", str(error), str(fine), "--format", "concise")
    assert back.exit_code == 0
    assert back.stdout.startswith("fine: mended error ARC101")


def test_a_diff_of_what_could_not_be_checked_is_not_clean(call: Call, engine: Engine, tmp_path: Path) -> None:
    error, gone = (written(tmp_path / f"{name}.json", name, call=call) for name in ("error", "gone"))
    done = call("diff", str(error), str(gone), "--format", "json")
    (comparison,) = json.loads(done.stdout)["comparisons"]
    assert (done.exit_code, comparison["mended"], len(comparison["lost"])) == (3, [], 1)


@pytest.mark.parametrize("style", FORMATS)
def test_a_diff_has_every_format(call: Call, engine: Engine, tmp_path: Path, style: str) -> None:
    before = written(tmp_path / "a.json", "warning-x", "fine", call=call)
    after = written(tmp_path / "b.json", "warning-x", "error-y", call=call)
    output = tmp_path / "diff"
    done = call("diff", str(before), str(after), "--format", style, "--output", str(output))
    assert (done.exit_code, done.stdout) == (1, "")
    text = output.read_text(encoding="utf-8")
    assert "ARC101" in text
    if style != "full":
        assert "ARC601 some-name: something" not in text, "which is not new"
    assert "1 new" in done.stderr


def test_a_stored_run_keeps_its_time(call: Call, file: Path) -> None:
    runs = stored.read(file)
    assert {run.created for run in runs} == {CREATED}
    assert json_lines.render(Run(ENVIRONMENT, runs[0].reports, CREATED)) == file.read_text().splitlines(True)[0]


def test_a_page_of_a_diff_is_the_history_of_one_model(call: Call, engine: Engine, tmp_path: Path) -> None:
    before, after = (written(tmp_path / f"{name}.json", name, call=call) for name in ("error-old", "fine-new"))
    page = call("diff", str(before), str(after), "--format", "html").stdout
    (data,) = re.findall(r'<script[^>]*type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)
    sources = [report["source"] for run in json.loads(data)["runs"] for report in run["document"]["reports"]]
    assert sources == ["fine-new", "fine-new"]
