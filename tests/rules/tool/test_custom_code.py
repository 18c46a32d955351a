"""ARC901: code of the repository, run or not run."""

from __future__ import annotations

import json
from pathlib import Path

import archlint
from archlint.core.blueprint import Blueprint, Facts, ModelInfo
from archlint.core.finding import Severity
from archlint.core.report import Environment, Run
from archlint.rules.tool.custom_code import CustomCode


def blueprint(**facts: object) -> Blueprint:
    model = ModelInfo("owner/name", "hub", "OwnForCausalLM", "own", 1, 1)
    return Blueprint(model, (), facts=Facts(**facts))  # type: ignore[arg-type]


def test_code_that_may_not_run_leaves_the_model_unchecked(tmp_path: Path) -> None:
    config = {"model_type": "own", "auto_map": {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "own.py").write_text("raise SystemExit('it was run')")
    report = archlint.lint(tmp_path, offline=True)
    (finding,) = report.findings
    assert (finding.code, finding.severity, finding.unchecked) == ("ARC901", Severity.WARNING, True)
    assert "own.Model" in finding.message
    assert "--trust-remote-code" in finding.remedies[0].text
    assert Run(Environment("3"), (report,)).exit_code(Severity.ERROR) == 3


def test_code_beside_a_class_of_transformers_is_an_info(tmp_path: Path) -> None:
    config = {"model_type": "gpt2", "n_layer": 1, "auto_map": {"AutoModelForCausalLM": "own.Model"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    report = archlint.lint(tmp_path, offline=True)
    (finding,) = (found for found in report.findings if found.code == "ARC901")
    assert finding.severity is Severity.INFO
    assert "own.Model" in finding.message
    assert "GPT2LMHeadModel was checked instead" in finding.message
    assert report.status == "clean"


def test_code_that_was_run_is_an_info() -> None:
    (finding,) = CustomCode().check(blueprint(custom_code=("own.Model",), ran_custom_code=True))
    assert finding.severity is Severity.INFO
    assert "OwnForCausalLM is the repository's own code" in finding.message


def test_no_code_no_finding() -> None:
    assert list(CustomCode().check(blueprint())) == []
