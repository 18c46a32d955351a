"""ARC510: what a list in exclude_modules excludes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from archlint import Example
from archlint.core.finding import Severity
from archlint.rules.targeting.exclude_without_effect import ExcludeWithoutEffect
from archlint.testing import examine, findings


def towers(model: Any) -> int:
    return sum(".vision." in name and "lora_A" in name for name, _ in model.named_parameters())


def test_a_parents_name_excludes_nothing_and_the_expression_does(adapt: Callable[..., Any]) -> None:
    plan: dict[str, Any] = {"target_modules": ["q_proj", "v_proj"], "exclude_modules": ["vision"]}
    assert towers(adapt("towers.Captioner", **plan)) == 4
    (finding,) = findings(ExcludeWithoutEffect, Example("toy:towers.Captioner", plan=plan))
    assert finding.severity is Severity.WARNING
    assert "4 layers inside" in finding.message
    assert towers(adapt("towers.Captioner", **finding.remedies[0].plan)) == 0


def test_entries_that_work_stay_in_the_expression(adapt: Callable[..., Any]) -> None:
    plan: dict[str, Any] = {"target_modules": ["q_proj", "v_proj"], "exclude_modules": ["v_proj", "vision"]}
    (finding,) = findings(ExcludeWithoutEffect, Example("toy:towers.Captioner", plan=plan))
    assert [fold.pattern for fold in finding.sites] == ["vision"]
    model = adapt("towers.Captioner", **finding.remedies[0].plan)
    assert {name.split(".")[5] for name, _ in model.named_parameters() if "lora_A" in name} == {"q_proj"}


def test_it_is_told_though_peft_stops_inside_the_tower(shallow: Callable[[str], str]) -> None:
    model = shallow("google/gemma-4-E2B-it")
    plan: dict[str, Any] = {"target_modules": ["q_proj"], "exclude_modules": ["vision_tower", "audio_tower"]}
    (finding,) = findings(ExcludeWithoutEffect, Example(model, plan=plan))
    assert [fold.pattern for fold in finding.sites] == ["model.vision_tower", "model.audio_tower"]
    trial = examine(Example(model, plan=finding.remedies[0].plan)).plan
    assert trial is not None
    assert (trial.raised, trial.outside) == (None, 0)


def test_nothing_excludes_parameters(adapt: Callable[..., Any]) -> None:
    plan: dict[str, Any] = {"target_modules": ["q_proj", "w1", "w2", "w3"], "exclude_modules": r".*\.experts"}
    model = adapt("targeting.Experts", **plan)
    assert any(".experts." in name for name, parameter in model.named_parameters() if parameter.requires_grad)
    (finding,) = findings(ExcludeWithoutEffect, Example("toy:targeting.Experts", plan=plan))
    assert "nothing excludes parameters" in finding.remedies[0].text
    model = adapt("targeting.Experts", **finding.remedies[0].plan)
    assert not any(".experts." in name for name, parameter in model.named_parameters() if parameter.requires_grad)


def test_a_layer_that_no_target_reaches_may_be_listed() -> None:
    plan: dict[str, Any] = {"target_modules": ["q_proj"], "exclude_modules": ["lm_head", "o_proj"]}
    assert findings(ExcludeWithoutEffect, Example("meta-llama/Llama-3.2-1B", plan=plan)) == []


@pytest.mark.parametrize(
    ("plan", "kept"),
    [
        ({"target_modules": ["q_proj", "v_proj"], "exclude_modules": "v_proj"}, {"q_proj"}),
        ({"target_modules": ["q_proj", "v_proj"], "exclude_modules": "v_proj|k_proj"}, {"q_proj"}),
        ({"target_modules": ["q_proj", "v_proj"], "exclude_modules": [r".*\.v_proj"]}, {"q_proj"}),
        ({"target_modules": ["q_proj", "v_proj", "o_proj"], "exclude_modules": ["o_proj", "v.proj"]}, {"q_proj"}),
    ],
    ids=str,
)
def test_an_exclusion_that_is_matched_in_the_other_way(
    adapt: Callable[..., Any], plan: dict[str, Any], kept: set[str]
) -> None:
    assert "v_proj" in adapted(adapt("projections.Dense", **plan))
    (finding,) = findings(ExcludeWithoutEffect, Example("toy:projections.Dense", plan=plan))
    assert finding.severity is Severity.WARNING
    assert [fold.pattern for fold in finding.sites] == ["layers.{0,1}.v_proj"]
    assert adapted(adapt("projections.Dense", **finding.remedies[0].plan)) == kept


def adapted(model: Any) -> set[str]:
    return {name.split(".lora_A")[0].rpartition(".")[2] for name, _ in model.named_parameters() if "lora_A" in name}


@pytest.mark.parametrize(
    ("name", "parameter", "excluded", "left"),
    [
        ("experts.TopKMoe", "experts.down_proj", r".*layers\.0\..*", {"1"}),
        ("experts.TopKMoe", "experts.down_proj", ["0.mlp.experts", "q_proj"], {"1"}),
        ("experts.Dense", "mlp.down_proj.weight", ["mlp.down_proj"], set()),
        ("experts.Dense", "mlp.down_proj.weight", r".*\.mlp\..*", set()),
    ],
)
def test_parameters_are_not_kept_out(
    adapt: Callable[..., Any], name: str, parameter: str, excluded: Any, left: set[str]
) -> None:
    plan: dict[str, Any] = {
        "target_modules": ["q_proj", "v_proj"],
        "target_parameters": [parameter],
        "exclude_modules": excluded,
    }
    assert layers_with_parameters(adapt(name, **plan)) == {"0", "1"}
    (finding,) = findings(ExcludeWithoutEffect, Example(f"toy:{name}", plan=plan))
    assert finding.severity is Severity.WARNING
    assert finding.count == 2 - len(left)
    assert layers_with_parameters(adapt(name, **finding.remedies[0].plan)) == left


def layers_with_parameters(model: Any) -> set[str]:
    return {name.split(".")[3] for name, _ in model.named_parameters() if ".mlp." in name and "lora_A" in name}
