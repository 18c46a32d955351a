"""ARC504: values that reach nothing, and what was meant by them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from archlint import Example
from archlint.core.finding import Finding, Severity
from archlint.rules.targeting.unmatched_target import UnmatchedTarget
from archlint.testing import examine, findings


def found(model: str, **plan: Any) -> list[Finding]:
    return findings(UnmatchedTarget, Example(model, plan=plan))


@pytest.mark.parametrize(
    "plan",
    [
        {"target_modules": "q_proj"},
        {"target_modules": "q_proj|v_proj"},
        {"target_modules": ["all-linear"]},
        {"target_modules": ["q_proj,v_proj"]},
        {"target_modules": [r".*\.q_proj"]},
        {"target_modules": ["Q_proj"]},
        {"target_modules": ["['q_proj']"]},
        {"target_modules": ["base_model.model.layers.0.q_proj"]},
        {"target_modules": ["layers.0.q_proj.weight"]},
        {"target_modules": ["q_proj"], "layers_to_transform": [0]},
        {"target_modules": ["q_proj"], "layers_to_transform": [0], "layers_pattern": "h"},
    ],
    ids=str,
)
def test_what_peft_does_not_find_is_said_as_it_would(adapt: Callable[..., Any], plan: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not found in the base model"):
        adapt("projections.Dense", **plan)
    (finding,) = found("toy:projections.Dense", **plan)
    assert finding.severity is Severity.ERROR
    mended = next(remedy.plan for remedy in finding.remedies if remedy.plan is not None)
    model = adapt("projections.Dense", **mended)
    assert any("q_proj.lora_A" in name for name, _ in model.named_parameters())


@pytest.mark.parametrize(
    ("model", "names", "hint"),
    [
        ("facebook/opt-1.3b", ["q_proj", "o_proj"], "did you mean out_proj?"),
        ("meta-llama/Llama-3.2-1B", ["q_proj", "gate_up_proj"], "did you mean gate_proj, up_proj?"),
        ("meta-llama/Llama-3.2-1B", ["query", "v_proj"], "did you mean q_proj?"),
        ("deepseek-ai/DeepSeek-V2-Lite", ["q_proj", "v_proj"], "did you mean kv_a_proj_with_mqa, kv_b_proj?"),
        ("openai-community/gpt2", ["c_attn", "q_proj"], "the model has c_attn, c_proj, c_fc"),
        ("microsoft/Phi-3.5-mini-instruct", ["o_proj", "q_proj"], "did you mean qkv_proj?"),
    ],
)
def test_the_models_own_names_are_told(model: str, names: list[str], hint: str) -> None:
    (finding,) = found(model, target_modules=names)
    assert finding.severity is Severity.WARNING
    assert finding.message.endswith(hint)


def test_an_expression_for_an_older_tree_is_moved_to_the_new_one() -> None:
    pattern = r"language_model.model.layers.[\d]+.(mlp|self_attn).(up|down|gate|q|k|v|o)_proj"
    (finding,) = found("google/gemma-3-4b-it", target_modules=pattern)
    (remedy,) = (remedy for remedy in finding.remedies if remedy.plan is not None)
    trial = examine(Example("google/gemma-3-4b-it", plan=remedy.plan)).plan
    assert trial is not None
    assert (trial.coverage, trial.outside) == (1.0, 0)


def test_expressions_in_a_list_become_one_that_reaches_what_the_names_did() -> None:
    plan: dict[str, Any] = {"target_modules": [r".*\.1\.q_proj", "o_proj"]}
    (finding,) = found("toy:projections.Dense", **plan)
    value = next(remedy.value for remedy in finding.remedies if remedy.plan is not None)
    paths = [site.path for site in examine(Example("toy:projections.Dense", plan=plan)).sites]
    assert [path for path in paths if re.fullmatch(value, path)] == [
        "layers.0.o_proj",
        "layers.1.q_proj",
        "layers.1.o_proj",
    ]


def test_layers_beyond_the_last_one_are_dropped_from_the_fix() -> None:
    (finding,) = found("meta-llama/Llama-3.2-1B", target_modules=["q_proj"], layers_to_transform=[14, 15, 16])
    assert finding.message == "16 in layers_to_transform reaches nothing; the text has layers 0 to 15"
    assert finding.remedies[0].value == [14, 15]


def test_layers_at_the_top_need_their_list_named() -> None:
    plan: dict[str, Any] = {"target_modules": ["q_proj"], "layers_to_transform": [0]}
    (finding,) = found("toy:projections.Dense", **plan)
    assert finding.remedies[0].plan == {**plan, "layers_pattern": "layers"}


def test_names_of_separate_experts_are_matched_where_peft_converts_them() -> None:
    names = ["q_proj", "gate_proj", "up_proj", "down_proj"]
    assert found("Qwen/Qwen3-30B-A3B", target_modules=names) == []
    (finding,) = found("mistralai/Mixtral-8x7B-v0.1", target_modules=names)
    assert finding.message.startswith("gate_proj, up_proj, down_proj in target_modules reach nothing")
    experts = finding.remedies[0]
    assert experts.value == ["experts.gate_up_proj", "experts.down_proj"]
    assert experts.plan is not None
    trial = examine(Example("mistralai/Mixtral-8x7B-v0.1", plan=experts.plan)).plan
    assert trial is not None
    assert trial.coverage > 0.95


def test_a_name_that_cannot_be_converted_alone_is_another_rules_matter() -> None:
    assert found("mistralai/Mixtral-8x7B-v0.1", target_modules=["q_proj", "w1"]) == []


def test_parameters_by_their_old_names() -> None:
    (finding,) = found(
        "Qwen/Qwen3-30B-A3B",
        target_modules=["q_proj"],
        target_parameters=["mlp.experts.gate_proj", "mlp.experts.up_proj"],
    )
    assert finding.severity is Severity.WARNING
    assert "did you mean experts.gate_up_proj?" in finding.message


def test_a_weight_without_its_name() -> None:
    (finding,) = found("toy:projections.Dense", target_modules=["v_proj"], target_parameters=["q_proj"])
    assert finding.remedies[0].value == ["q_proj.weight"]


def test_a_module_to_save_that_is_not_there_is_passed_over_by_peft(adapt: Callable[..., Any]) -> None:
    plan: dict[str, Any] = {"target_modules": ["q_proj"], "modules_to_save": ["embed_token"]}
    model = adapt("heads.Untied", **plan)
    assert not any("modules_to_save" in name for name, _ in model.named_parameters())
    (finding,) = found("toy:heads.Untied", **plan)
    assert finding.severity is Severity.WARNING
    assert finding.remedies[0].value == ["embed_tokens"]


def test_everything_excluded_is_told() -> None:
    (finding,) = found("toy:projections.Dense", target_modules=["q_proj"], exclude_modules=["q_proj"])
    assert finding.severity is Severity.ERROR
    assert "left out by exclude_modules" in finding.message


def test_an_empty_list_is_told() -> None:
    (finding,) = found("toy:projections.Dense", target_modules=[])
    assert finding.message == "target_modules is empty, and there are no target_parameters"


def test_a_model_without_linear_layers() -> None:
    (finding,) = found("type:resnet", target_modules="all-linear")
    assert finding.message == "all-linear reaches nothing; the model has no layer that PEFT adapts"


@pytest.mark.parametrize(
    "plan",
    [
        {"target_modules": "(q_proj"},
        {"target_modules": "q_proj", "layers_to_transform": [0]},
    ],
)
def test_a_string_that_peft_never_comes_to_match_is_told_once(plan: dict[str, Any]) -> None:
    assert examine(Example("toy:projections.Dense", plan=plan)).plan.raised is not None  # type: ignore[union-attr]
    assert found("toy:projections.Dense", **plan) == []


def test_a_setting_refused_beside_a_list_leaves_the_list_to_be_judged() -> None:
    (finding,) = found("toy:projections.Dense", target_modules=["q_proj", "nothing"], layers_pattern="layers")
    assert finding.message.startswith("nothing in target_modules")


def test_indices_in_quotes_are_no_numbers(adapt: Callable[..., Any]) -> None:
    plan: dict[str, Any] = {"target_modules": ["q_proj"], "layers_to_transform": ["0"], "layers_pattern": "layers"}
    with pytest.raises(ValueError, match="not found in the base model"):
        adapt("projections.Dense", **plan)
    (finding,) = found("toy:projections.Dense", **plan)
    assert finding.message == "0 in layers_to_transform reaches nothing; PEFT compares numbers, and '0' is text"
    assert finding.remedies[0].value == [0]
    adapt("projections.Dense", **finding.remedies[0].plan)


def test_a_misspelled_embedding_that_is_the_head_as_well_keeps_one_weight(adapt: Callable[..., Any]) -> None:
    (finding,) = found("toy:heads.Tied", target_modules=["q_proj"], modules_to_save=["embed_token"])
    plan = finding.remedies[0].plan
    assert plan is not None
    model = adapt("heads.Tied", **plan).base_model.model
    copies = [module.modules_to_save["default"].weight for module in (model.model.embed_tokens, model.lm_head)]
    assert copies[0] is copies[1]
