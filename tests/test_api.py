"""``check_plan`` and ``recipe`` in a training script: on live models and on sources."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import torch
from peft import IA3Config, LoHaConfig, LoraConfig, PromptTuningConfig, get_peft_model
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

import archlint

GEMMA = "google/gemma-4-E2B-it"


@pytest.fixture
def llama() -> LlamaForCausalLM:
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    return LlamaForCausalLM(LlamaConfig(**sizes, vocab_size=64))


def test_the_recipe_trains_every_adapter_of_a_live_model(llama: LlamaForCausalLM) -> None:
    arguments = archlint.recipe(llama, rank=4)
    assert (arguments["r"], arguments["lora_alpha"]) == (4, 4)
    model = get_peft_model(llama, LoraConfig(**arguments))
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(weight)  # at zero, it would keep the gradient from lora_A
    tokens = torch.randint(0, 64, (2, 8))
    model(input_ids=tokens, labels=tokens).loss.backward()
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    assert len(trained) == 2 * 7 * 2
    assert all(weight.grad is not None and weight.grad.any() for weight in trained)


def test_the_recipe_passes_its_own_guard() -> None:
    config = LoraConfig(**archlint.recipe(GEMMA, offline=True))
    report = archlint.check_plan(GEMMA, config, offline=True)
    assert report.ok, report
    assert report.raise_for_findings() is report


def test_a_plan_that_breaks_stops_the_script() -> None:
    report = archlint.check_plan(GEMMA, LoraConfig(target_modules=["q_proj", "v_proj"]), offline=True)
    assert not report.ok
    assert repr(report).startswith("<Report Gemma4ForConditionalGeneration: 1 error")
    assert repr(report).endswith("; not ok>")
    with pytest.raises(archlint.FindingsError, match="error ARC101 wrapped-linear") as raised:
        report.raise_for_findings("error")
    assert raised.value.report is report
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(report)


@pytest.mark.parametrize(
    "config",
    [
        LoraConfig(target_modules=["q_proj", "v_proj"]),
        LoHaConfig(target_modules=["q_proj", "v_proj"], r=4),
        IA3Config(target_modules=["k_proj", "v_proj", "down_proj"], feedforward_modules=["down_proj"]),
    ],
    ids=lambda config: config.peft_type.value,
)
def test_a_sound_config_of_any_tuner_is_ok(llama: LlamaForCausalLM, config: Any) -> None:
    report = archlint.check_plan(llama, config)
    assert report.plan is not None
    assert report.plan.plan.tuner == config.peft_type.value
    assert len(report.plan.adapted) == 2 * len(config.target_modules)
    assert report.ok, report


def test_the_kind_of_adapter_may_stand_in_a_mapping(llama: LlamaForCausalLM) -> None:
    plan = {"peft_type": "LOHA", "target_modules": ["q_proj"], "inference_mode": True}
    report = archlint.check_plan(llama, plan)
    assert report.plan is not None
    assert (report.plan.plan.tuner, dict(report.plan.plan.lora)) == ("LOHA", {"target_modules": ["q_proj"]})


@pytest.mark.parametrize(
    ("plan", "why"),
    [
        (None, "a plan is expected"),
        ("all-linear", "is expected, not str"),
        (LoraConfig, "is expected, not type"),
        (PromptTuningConfig(num_virtual_tokens=4), "places no adapters by module"),
    ],
)
def test_what_is_no_plan_is_a_type_error(llama: LlamaForCausalLM, plan: Any, why: str) -> None:
    with pytest.raises(TypeError, match=why):
        archlint.check_plan(llama, plan)


def test_unchecked_is_not_ok() -> None:
    report = archlint.check_plan("type:no-such-type", {"target_modules": ["q_proj"]}, offline=True)
    assert not report.ok
    with pytest.raises(archlint.FindingsError):
        report.raise_for_findings("error")
    assert report.raise_for_findings("error", allow_unchecked=True) is report


def test_no_recipe_says_why() -> None:
    with pytest.raises(archlint.NoRecipeError, match="type:no-such-type"):
        archlint.recipe("type:no-such-type", offline=True)
    with pytest.raises(archlint.NoRecipeError, match="could not be run"):
        archlint.recipe(nn.ModuleDict({"q_proj": nn.Linear(4, 4)}))
    assert archlint.recipe(nn.ModuleDict({"q_proj": nn.Linear(4, 4)}), allow_unchecked=True)["target_modules"]


def test_a_rank_is_at_least_one(llama: LlamaForCausalLM) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        archlint.recipe(llama, rank=0)
