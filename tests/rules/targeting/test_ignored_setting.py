"""ARC513: settings that PEFT refuses or passes over."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from peft import AdaLoraConfig, IA3Config, OFTConfig, get_peft_model

from archlint import Example
from archlint.core.blueprint import ModelInfo
from archlint.core.finding import Finding, Severity
from archlint.core.trial import Plan
from archlint.proving import Prover
from archlint.rules.targeting.ignored_setting import IgnoredSetting
from archlint.skeleton import Skeleton
from archlint.survey import survey
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
    plan: dict[str, Any] = {"target_modules": "all-linear", "layers_to_transform": [0, 1]}
    fixed = found("meta-llama/Llama-3.2-1B", **plan).remedies[0].plan
    trial = examine(Example("meta-llama/Llama-3.2-1B", plan=fixed)).plan
    assert trial is not None
    assert len(trial.adapted) == 2 * 7


def test_layers_are_not_chosen_for_converted_experts() -> None:
    plan: dict[str, Any] = {
        "target_modules": ["q_proj", "gate_proj", "up_proj", "down_proj"],
        "layers_to_transform": [1],
    }
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
    plan: dict[str, Any] = {"target_modules": ["q_proj"], "r": 2, setting: {"query": 4}}
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
    plan: dict[str, Any] = {"target_modules": ["q_proj", "lm_head"], "modules_to_save": ["lm_head"]}
    names = [name for name, _ in adapt("heads.Untied", **plan).named_parameters()]
    assert not any("lm_head.lora" in name for name in names)
    assert found("toy:heads.Untied", **plan).severity is Severity.INFO


def test_replicated_layers_are_judged_like_others() -> None:
    plan: dict[str, Any] = {
        "target_modules": ["q_proj"],
        "layer_replication": [[0, 32], [0, 1]],
        "rank_pattern": {"v_proj": 4},
    }
    assert found("type:llama", **plan).message.startswith("v_proj in rank_pattern")


def with_tuner(tuner: str, **plan: Any) -> list[Finding]:
    """What the rule says of the plan of another tuner than LoRA."""
    from accelerate import init_empty_weights

    from archlint.fixtures.toys.projections import Dense

    with init_empty_weights(include_buffers=True):
        model = Dense()
    blueprint = survey(Skeleton(model), ModelInfo("dense", "object", "", "", 0, 0), None)
    trial = Prover(model, blueprint).try_plan(Plan("user", plan, tuner=tuner))
    return list(IgnoredSetting().check(dataclasses.replace(blueprint, plan=trial)))


@pytest.mark.parametrize(
    ("name", "parameter"), [("experts.TopKMoe", "experts.down_proj"), ("experts.Dense", "mlp.down_proj.weight")]
)
def test_layers_are_not_chosen_for_parameters(adapt: Callable[..., Any], name: str, parameter: str) -> None:
    plan: dict[str, Any] = {
        "target_modules": ["q_proj"],
        "target_parameters": [parameter],
        "layers_to_transform": [1],
        "layers_pattern": "layers",
    }
    assert layers_with_parameters(adapt(name, **plan)) == {"0", "1"}
    finding = found(f"toy:{name}", **plan)
    assert finding.severity is Severity.WARNING
    assert finding.count == 1
    assert layers_with_parameters(adapt(name, **finding.remedies[0].plan)) == {"1"}


def layers_with_parameters(model: Any) -> set[str]:
    return {name.split(".")[3] for name, _ in model.named_parameters() if ".mlp." in name and "lora_A" in name}


def test_a_parameter_that_is_named_with_its_layer_is_chosen_by_that() -> None:
    plan: dict[str, Any] = {
        "target_modules": ["q_proj"],
        "target_parameters": ["0.mlp.experts.down_proj"],
        "layers_to_transform": [1],
        "layers_pattern": "layers",
    }
    assert findings(IgnoredSetting, Example("toy:experts.TopKMoe", plan=plan)) == []


def test_the_key_of_an_adapted_weight_is_the_name_of_the_parameter(adapt: Callable[..., Any]) -> None:
    plan: dict[str, Any] = {"target_parameters": ["q_proj.weight"], "r": 4, "rank_pattern": {"q_proj": 2}}
    assert ranks(adapt("projections.Dense", **plan)) == {4}
    finding = found("toy:projections.Dense", **plan)
    assert finding.message == "q_proj in rank_pattern matches nothing that is adapted"
    assert ranks(adapt("projections.Dense", **finding.remedies[0].plan)) == {2}


def ranks(model: Any) -> set[int]:
    return {weight.shape[0] for name, weight in model.named_parameters() if "lora_A" in name}


@pytest.mark.parametrize(
    ("tuner", "plan"),
    [
        ("FOURIERFT", {"n_frequency": 20, "n_frequency_pattern": {"nope": 3}}),
        ("C3A", {"block_size": 2, "block_size_pattern": {"nope": 1}}),
        ("DELORA", {"r": 4, "lambda_pattern": {"nope": 2}}),
    ],
)
def test_other_tuners_have_patterns_of_their_own(tuner: str, plan: dict[str, Any]) -> None:
    (finding,) = with_tuner(tuner, target_modules=["q_proj"], **plan)
    assert finding.message.startswith("nope in ")
    assert finding.severity is Severity.WARNING
    used = {key: {"q_proj": next(iter(value.values()))} for key, value in plan.items() if isinstance(value, dict)}
    assert with_tuner(tuner, target_modules=["q_proj"], **{**plan, **used}) == []


def test_a_block_size_that_peft_exchanges_for_one_that_divides_the_layers(toy: Callable[[str], Any]) -> None:
    plan: dict[str, Any] = {"target_modules": ["q_proj"], "r": 0, "oft_block_size": 6}
    with pytest.warns(UserWarning, match="Adjusted `oft_block_size`"):
        model = get_peft_model(toy("projections.Dense"), OFTConfig(**plan))
    (used,) = {layer.oft_block_size["default"] for layer in model.modules() if hasattr(layer, "oft_block_size")}
    (finding,) = with_tuner("OFT", **plan)
    assert finding.severity is Severity.WARNING
    assert finding.settings == ("oft_block_size",)
    assert finding.remedies[0].value == used
    assert with_tuner("OFT", **finding.remedies[0].plan) == []


def test_a_rank_that_the_tuner_does_not_use(toy: Callable[[str], Any]) -> None:
    plan: dict[str, Any] = {"target_modules": ["q_proj"], "r": 4, "total_step": 10}
    with pytest.warns(UserWarning, match="`r` is not used in AdaLora"):
        model = get_peft_model(toy("projections.Dense"), AdaLoraConfig(**plan))
    assert ranks(model) == {12}
    (finding,) = with_tuner("ADALORA", **plan)
    assert finding.remedies[0].plan == {"target_modules": ["q_proj"], "total_step": 10, "init_r": 4}


def test_feedforward_modules_must_be_among_the_targets(toy: Callable[[str], Any]) -> None:
    plan: dict[str, Any] = {"target_modules": ["k_proj"], "feedforward_modules": ["o_proj"]}
    with pytest.raises(ValueError, match="should be a subset"):
        IA3Config(**plan)
    (finding,) = with_tuner("IA3", **plan)
    assert finding.severity is Severity.ERROR
    added, dropped = (remedy.plan for remedy in finding.remedies)
    assert added == {**plan, "target_modules": ["k_proj", "o_proj"]}
    assert dropped == {**plan, "feedforward_modules": []}
    for mended in (added, dropped):
        get_peft_model(toy("projections.Dense"), IA3Config(**mended))


@pytest.mark.parametrize(
    ("name", "plan"),
    [
        (
            "experts.TopKMoe",
            {"target_modules": ["q_proj"], "target_parameters": ["experts.down_proj"], "modules_to_save": ["experts"]},
        ),
        ("projections.Dense", {"target_modules": ["q_proj"], "modules_to_save": ["proj"]}),
    ],
)
def test_what_holds_adapters_is_not_saved_in_full(adapt: Callable[..., Any], name: str, plan: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="modules_to_save cannot be applied"):
        adapt(name, **plan)
    finding = found(f"toy:{name}", **plan)
    assert finding.severity is Severity.ERROR
    assert plan["modules_to_save"][0] in finding.message
    assert finding.remedies
    for remedy in finding.remedies:
        adapt(name, **remedy.plan)
