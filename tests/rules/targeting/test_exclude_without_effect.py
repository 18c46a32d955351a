"""ARC510: what a list in exclude_modules excludes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from archlint import Example
from archlint.core.finding import Severity
from archlint.rules.targeting.exclude_without_effect import ExcludeWithoutEffect
from archlint.testing import examine, findings


def towers(model: Any) -> int:
    return sum(".vision." in name and "lora_A" in name for name, _ in model.named_parameters())


def test_a_parents_name_excludes_nothing_and_the_expression_does(adapt: Callable[..., Any]) -> None:
    plan = {"target_modules": ["q_proj", "v_proj"], "exclude_modules": ["vision"]}
    assert towers(adapt("towers.Captioner", **plan)) == 4
    (finding,) = findings(ExcludeWithoutEffect, Example("toy:towers.Captioner", plan=plan))
    assert finding.severity is Severity.WARNING
    assert "4 layers inside" in finding.message
    assert towers(adapt("towers.Captioner", **finding.remedies[0].plan)) == 0


def test_entries_that_work_stay_in_the_expression(adapt: Callable[..., Any]) -> None:
    plan = {"target_modules": ["q_proj", "v_proj"], "exclude_modules": ["v_proj", "vision"]}
    (finding,) = findings(ExcludeWithoutEffect, Example("toy:towers.Captioner", plan=plan))
    assert [fold.pattern for fold in finding.sites] == ["vision"]
    model = adapt("towers.Captioner", **finding.remedies[0].plan)
    assert {name.split(".")[5] for name, _ in model.named_parameters() if "lora_A" in name} == {"q_proj"}


def test_it_is_told_though_peft_stops_inside_the_tower() -> None:
    plan = {"target_modules": ["q_proj"], "exclude_modules": ["vision_tower", "audio_tower"]}
    (finding,) = findings(ExcludeWithoutEffect, Example("google/gemma-4-E2B-it", plan=plan))
    assert [fold.pattern for fold in finding.sites] == ["model.vision_tower", "model.audio_tower"]
    trial = examine(Example("google/gemma-4-E2B-it", plan=finding.remedies[0].plan)).plan
    assert trial is not None
    assert (trial.raised, trial.outside) == (None, 0)


def test_nothing_excludes_parameters(adapt: Callable[..., Any]) -> None:
    plan = {"target_modules": ["q_proj", "w1", "w2", "w3"], "exclude_modules": r".*\.experts"}
    model = adapt("targeting.Experts", **plan)
    assert any(".experts." in name for name, parameter in model.named_parameters() if parameter.requires_grad)
    (finding,) = findings(ExcludeWithoutEffect, Example("toy:targeting.Experts", plan=plan))
    assert finding.remedies[0].plan is None
    assert "nothing excludes parameters" in finding.remedies[0].text


def test_a_layer_that_no_target_reaches_may_be_listed() -> None:
    plan = {"target_modules": ["q_proj"], "exclude_modules": ["lm_head", "o_proj"]}
    assert findings(ExcludeWithoutEffect, Example("meta-llama/Llama-3.2-1B", plan=plan)) == []
