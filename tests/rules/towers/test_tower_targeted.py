"""ARC601: adapters in towers, counted and kept out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from archlint import Example
from archlint.core.blueprint import Scope
from archlint.core.finding import Severity
from archlint.rules.towers.tower_targeted import TowerTargeted
from archlint.testing import examine, findings

QV = {"target_modules": ["q_proj", "v_proj"]}


def test_the_exclusion_leaves_the_text_and_nothing_else(adapt: Callable[..., Any]) -> None:
    (finding,) = findings(TowerTargeted, Example("toy:towers.Captioner", plan={"target_modules": "all-linear"}))
    model = adapt("towers.Captioner", **finding.remedies[0].plan)
    assert {name.split(".")[2] for name, _ in model.named_parameters() if "lora_A" in name} == {"text"}


@pytest.mark.parametrize(
    ("model", "outside"),
    [
        ("google/gemma-4-E2B-it", 23),
        ("google/gemma-3-4b-it", 12),
        ("llava-hf/llava-1.5-7b-hf", 14),
        ("meta-llama/Llama-4-Scout-17B-16E-Instruct", 10),
        ("Qwen/Qwen3-VL-8B-Instruct", 16),
    ],
)
def test_all_linear_and_its_fix_on_published_models(shallow: Callable[[str], str], model: str, outside: int) -> None:
    model = shallow(model)
    (finding,) = findings(TowerTargeted, Example(model, plan={"target_modules": "all-linear"}))
    assert finding.severity is Severity.WARNING
    assert finding.count == outside
    before = examine(Example(model, plan={"target_modules": "all-linear"})).plan
    after = examine(Example(model, plan=finding.remedies[0].plan)).plan
    assert before is not None
    assert after is not None
    assert (after.outside, after.coverage) == (0, before.coverage)


@pytest.mark.parametrize(
    "model",
    [
        "openai/whisper-tiny",
        "openai/clip-vit-large-patch14",
        "type:pix2struct",
        pytest.param(
            "type:vision-encoder-decoder", marks=pytest.mark.since("transformers", "5.20", "it has a default config")
        ),
    ],
)
def test_a_class_that_cannot_run_without_its_tower_trains_it(model: str) -> None:
    found = findings(TowerTargeted, Example(model, plan={"target_modules": "all-linear"}))
    assert all(finding.severity is Severity.INFO for finding in found)


def test_a_plan_for_the_tower_alone_is_told_that_it_leaves_the_text_out() -> None:
    plan = {"target_modules": ["fc1"]}
    (finding,) = findings(TowerTargeted, Example("toy:towers.Captioner", plan=plan))
    assert finding.message.endswith("and nothing of the text")
    assert all(remedy.plan is None for remedy in finding.remedies), "an exclusion would leave nothing"


def test_the_scope_decides() -> None:
    assert findings(TowerTargeted, Example("toy:towers.Captioner", plan=QV, scope=Scope.ALL)) == []
    (finding,) = findings(TowerTargeted, Example("toy:towers.Captioner", plan=QV, scope=Scope.VISION))
    assert {fold.role for fold in finding.sites} == {"text"}


def test_what_is_excluded_already_stays_excluded() -> None:
    plan = {**QV, "exclude_modules": ["v_proj", "vision"]}
    (finding,) = findings(TowerTargeted, Example("toy:towers.Captioner", plan=plan))
    trial = examine(Example("toy:towers.Captioner", plan=finding.remedies[0].plan)).plan
    assert trial is not None
    assert trial.adapted == ("text.layers.0.q_proj", "text.layers.1.q_proj")
