"""ARC513: settings that PEFT refuses or passes over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from archlint import Example
from archlint.core.finding import Finding, Severity
from archlint.rules.targeting.ignored_setting import IgnoredSetting
from archlint.testing import examine, findings


def found(model: str, **plan: Any) -> Finding:
    (finding,) = findings(IgnoredSetting, Example(model, plan=plan))
    return finding


@pytest.mark.parametrize(
    "plan",
    [
        {"target_modules": "all-linear", "layers_to_transform": [0], "layers_pattern": "layers"},
        {"target_modules": ".*q_proj", "layers_to_transform": [0]},
        {"target_modules": ["q_proj"], "layers_pattern": "layers"},
    ],
)
def test_peft_refuses_the_combination(adapt: Callable[..., Any], plan: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"layers_to_transform|layers_pattern"):
        adapt("projections.Dense", **plan)
    assert found("toy:projections.Dense", **plan).severity is Severity.ERROR


def test_the_fix_for_a_string_keeps_the_layers() -> None:
    plan = {"target_modules": "all-linear", "layers_to_transform": [0, 1]}
    fixed = found("meta-llama/Llama-3.2-1B", **plan).remedies[0].plan
    trial = examine(Example("meta-llama/Llama-3.2-1B", plan=fixed)).plan
    assert trial is not None
    assert len(trial.adapted) == 2 * 7


def test_layers_are_not_chosen_for_converted_experts() -> None:
    plan = {"target_modules": ["q_proj", "gate_proj", "up_proj", "down_proj"], "layers_to_transform": [1]}
    finding = found("Qwen/Qwen3-30B-A3B", **plan)
    assert finding.severity is Severity.WARNING
    assert finding.count == 47 * 2
    trial = examine(Example("Qwen/Qwen3-30B-A3B", plan=finding.remedies[0].plan)).plan
    assert trial is not None
    assert trial.adapted == (
        "model.layers.1.self_attn.q_proj",
        "model.layers.1.mlp.experts.gate_up_proj",
        "model.layers.1.mlp.experts.down_proj",
    )


@pytest.mark.parametrize("setting", ["rank_pattern", "alpha_pattern"])
def test_a_key_that_matches_nothing_changes_no_rank(adapt: Callable[..., Any], setting: str) -> None:
    plan = {"target_modules": ["q_proj"], "r": 2, setting: {"query": 4}}
    model = adapt("projections.Dense", **plan)
    layer = model.get_submodule("base_model.model.layers.0.q_proj")
    assert (layer.r, layer.lora_alpha) == ({"default": 2}, {"default": 8})
    finding = found("toy:projections.Dense", **plan)
    assert finding.severity is Severity.WARNING
    assert finding.remedies[0].value == {"q_proj": 4}


@pytest.mark.parametrize(
    ("model", "plan"),
    [
        (
            "toy:targeting.Experts",
            {"target_parameters": ["experts.down_proj"], "rank_pattern": {"experts.down_proj": 2}},
        ),
        ("toy:projections.Dense", {"target_modules": ["q_proj"], "rank_pattern": {r"layers\.0\.q_proj": 2}}),
        ("toy:projections.Dense", {"target_parameters": ["q_proj.weight"], "alpha_pattern": {"q_proj.weight": 2}}),
    ],
)
def test_a_key_that_matches_is_no_finding(model: str, plan: dict[str, Any]) -> None:
    assert findings(IgnoredSetting, Example(model, plan=plan)) == []


def test_what_is_saved_in_full_gets_no_adapter(adapt: Callable[..., Any]) -> None:
    plan = {"target_modules": ["q_proj", "lm_head"], "modules_to_save": ["lm_head"]}
    names = [name for name, _ in adapt("heads.Untied", **plan).named_parameters()]
    assert not any("lm_head.lora" in name for name in names)
    assert found("toy:heads.Untied", **plan).severity is Severity.INFO


def test_replicated_layers_are_judged_like_others() -> None:
    plan = {"target_modules": ["q_proj"], "layer_replication": [[0, 32], [0, 1]], "rank_pattern": {"v_proj": 4}}
    assert found("type:llama", **plan).message.startswith("v_proj in rank_pattern")
