"""What an entry reaches is what PEFT does with it."""

from __future__ import annotations

import re

import pytest
from peft import LoraConfig, get_peft_model

from archlint.fixtures.toys.norms import DecayedNorm
from archlint.proving.matching import entries


@pytest.mark.parametrize("name", ["norm", "layernorm", "norm_f", "input_layernorm", "layers.0.input_layernorm", "none"])
def test_modules_to_save(name: str) -> None:
    model = DecayedNorm()
    names = [path for path, _ in model.named_modules()]
    lora = {"target_modules": ["q_proj"], "modules_to_save": [name]}
    (entry,) = (entry for entry in entries(lora, names, []) if entry.setting == "modules_to_save")
    adapted = get_peft_model(model, LoraConfig(**lora)).base_model.model
    saved = {path for path, module in adapted.named_modules() if type(module).__name__ == "ModulesToSaveWrapper"}
    assert set(entry.reaches) == saved


@pytest.mark.parametrize(
    "lora",
    [
        {"target_modules": "(q_proj"},
        {"target_modules": ["q_proj"], "exclude_modules": "(q_proj"},
        {"target_modules": ["q_proj"], "rank_pattern": {"(q_proj": 2}},
    ],
    ids=str,
)
def test_what_is_no_regular_expression_reaches_nothing(lora: dict[str, object]) -> None:
    model = DecayedNorm()
    names = [path for path, _ in model.named_modules()]
    with pytest.raises(re.error):
        get_peft_model(model, LoraConfig(**lora))  # type: ignore[arg-type]
    assert [entry.value for entry in entries(lora, names, []) if not entry.reaches] == ["(q_proj"]


def test_a_key_of_a_rank_pattern_may_be_a_parameter() -> None:
    lora = {"target_parameters": ["q_proj.weight"], "rank_pattern": {"q_proj.weight": 2, "k_proj": 4}}
    found = {entry.value: entry.reaches for entry in entries(lora, ["q_proj"], ["q_proj.weight"])}
    assert found == {"q_proj.weight": ("q_proj.weight",), "k_proj": ()}


@pytest.mark.parametrize("indices", [["0"], "0", ["0", "1"]])
def test_indices_in_quotes_reach_no_layer(indices: object) -> None:
    lora = {"target_modules": ["q_proj"], "layers_to_transform": indices, "layers_pattern": "layers"}
    names = [path for path, _ in DecayedNorm().named_modules()]
    found = [entry for entry in entries(lora, names, []) if entry.setting == "layers_to_transform"]
    assert [entry.value for entry in found] == list(indices)  # type: ignore[call-overload]
    assert not any(entry.reaches for entry in found)


@pytest.mark.parametrize("expression", ["a{4294967296}", "(" * 2000 + ")" * 2000, "[", "(?P<x>"])
@pytest.mark.parametrize("setting", ["target_modules", "exclude_modules", "rank_pattern", "feedforward_modules"])
def test_what_python_takes_for_no_expression_reaches_nothing(setting: str, expression: str) -> None:
    value = {expression: 4} if setting == "rank_pattern" else expression
    found = list(entries({"target_modules": ["q_proj"], setting: value}, ["model.q_proj"], []))
    assert [entry.reaches for entry in found if entry.setting == setting] == [()]
