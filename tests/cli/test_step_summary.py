"""The summary that a step of GitHub Actions gets beside its annotations."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Call, Engine


@pytest.fixture
def summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that the runner has made for the step."""
    file = tmp_path / "step summary.md"
    file.touch()
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(file))
    return file


def test_the_report_is_appended_as_a_comment_would_have_it(call: Call, engine: Engine, summary: Path) -> None:
    summary.write_text("# Before\n")
    done = call("error", "--format", "github")
    assert (done.exit_code, done.stderr) == (1, "")
    assert done.stdout.startswith("::error title=ARC101 some-name::")
    assert summary.read_text(encoding="utf-8") == "# Before\n" + call("error", "--format", "markdown").stdout


def test_that_nothing_was_found_is_said(call: Call, engine: Engine, summary: Path) -> None:
    assert call("fine", "--format", "github").stdout == ""
    assert summary.read_text().startswith("### archlint: clean\n")


@pytest.mark.parametrize("style", ["full", "markdown", "sarif"])
def test_other_formats_leave_it_alone(call: Call, engine: Engine, summary: Path, style: str) -> None:
    call("error", "--format", style)
    assert summary.read_text() == ""


def test_no_more_than_github_takes(call: Call, engine: Engine, summary: Path) -> None:
    full = b"x" * 1024**2
    summary.write_bytes(full)
    done = call("error", "--format", "github")
    assert done.exit_code == 1
    assert "GITHUB_STEP_SUMMARY has no room for another" in done.stderr
    assert summary.read_bytes() == full


def test_a_summary_that_cannot_be_written_changes_no_verdict(
    call: Call, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    done = call("error", "--format", "github")
    assert done.exit_code == 1
    assert done.stderr.startswith("GITHUB_STEP_SUMMARY ")
