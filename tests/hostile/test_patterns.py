"""Plans of strangers: patterns that take for ever are stopped, and values of any sort crash no rule."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import archlint
from archlint.core import expressions, too_slow
from archlint.core.report import Report

CONFIG = {
    "model_type": "llama",
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "vocab_size": 32,
}
BOMB = r"(\w+\.?)+!"
"""Takes time that doubles with each letter of a name."""
WANTED = {"target_modules": ["q_proj"]}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    (folder / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    return folder


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is waited for that takes longer than this model needs."""
    monkeypatch.setattr(too_slow, "MAX_SECONDS", 1.0)
    monkeypatch.setattr(expressions, "MAX_SECONDS", 0.1)


def checked(model: Path, plan: dict[str, Any]) -> Report:
    report = archlint.lint(model, plan=plan, offline=True)
    assert not [finding.message for finding in report.findings if finding.code == "ARC999"]
    return report


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "plan",
    [
        {"target_modules": BOMB},
        {**WANTED, "exclude_modules": BOMB},
        {**WANTED, "modules_to_save": [BOMB]},
        {**WANTED, "layers_to_transform": [0], "layers_pattern": [BOMB]},
        {**WANTED, "rank_pattern": {BOMB: 4}},
        {**WANTED, "alpha_pattern": {BOMB: 4}},
        {"peft_type": "IA3", **WANTED, "feedforward_modules": BOMB},
    ],
    ids=lambda plan: " ".join(plan),
)
def test_a_plan_that_takes_for_ever_is_unchecked(model: Path, plan: dict[str, Any]) -> None:
    report = checked(model, plan)
    assert [lack.why for lack in report.unchecked if "takes more than" in lack.why]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "plan",
    [
        {"target_modules": [BOMB]},
        {**WANTED, "exclude_modules": [BOMB]},
        {**WANTED, "target_parameters": [BOMB]},
    ],
    ids=lambda plan: " ".join(plan),
)
def test_a_name_that_would_be_such_an_expression_is_told_like_any_other(model: Path, plan: dict[str, Any]) -> None:
    assert checked(model, plan).plan is not None


@pytest.mark.parametrize(
    "value",
    ["[", "a{4294967296}", "(" * 2000 + ")" * 2000, [["a"]], 7, [7, None], {"a": 1}, [""], "", ["\ud800", "\x1b[31m"]],
    ids=lambda value: str(value)[:20].encode("unicode_escape").decode(),
)
@pytest.mark.parametrize("setting", ["target_modules", "exclude_modules", "modules_to_save", "target_parameters"])
def test_values_of_any_sort_are_told(model: Path, setting: str, value: Any) -> None:
    report = checked(model, {**WANTED, setting: value})
    assert report.plan is not None
    json.dumps([finding.message for finding in report.findings])
