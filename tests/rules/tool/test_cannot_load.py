"""ARC902: a source that gives no model is not clean."""

from __future__ import annotations

from pathlib import Path

import archlint
from archlint.core.finding import Severity
from archlint.core.report import Environment, Run
from archlint.rules.tool.cannot_load import CannotLoad


def test_a_source_that_cannot_be_loaded_is_told_and_unchecked(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"model_type": "nobody_has_this"}')
    report = archlint.lint(config, offline=True)
    (finding,) = report.findings
    assert (finding.code, finding.severity, finding.unchecked) == ("ARC902", Severity.WARNING, True)
    assert "nobody_has_this" in finding.message
    assert report.unchecked[0].why == finding.message
    assert report.status == "unchecked"
    assert Run(Environment("3"), (report,)).exit_code(Severity.WARNING) == 3


def test_the_reason_is_one_line() -> None:
    finding, unchecked = CannotLoad().failed(ValueError("first\n  second"))
    assert finding.message == unchecked.why == "first second"


def test_an_error_without_words_is_told_by_its_type() -> None:
    finding, _ = CannotLoad().failed(RecursionError())
    assert finding.message == "RecursionError"
