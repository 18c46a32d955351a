"""Trials say exactly what PEFT does, and leave the model as it was."""

from __future__ import annotations

import itertools
from functools import cache
from typing import Any

import pytest
import torch
from torch import nn

from archlint.core.blueprint import Blueprint, ModelInfo
from archlint.core.messages import settled
from archlint.core.stock import STOCK_PLANS
from archlint.core.trial import Plan, Trial
from archlint.proving import Prover
from archlint.quiet import quiet
from archlint.skeleton import Skeleton, build
from archlint.survey import survey

TYPES = (
    "llama",
    "gpt2",
    "qwen3_moe",
    "deepseek_v3",
    "llava",
    "falcon_mamba",
    "mixtral",
    "bert",
    "t5",
    "moshi",
    "jamba",
)
NAMES = {"target_modules": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]}


@cache
def prepared(model_type: str) -> tuple[nn.Module, Blueprint, Prover]:
    with quiet():
        skeleton = build({"model_type": model_type})
        blueprint = survey(skeleton, ModelInfo(model_type, "type", "", "", 0, 0))
    return skeleton.model, blueprint, Prover(skeleton.model, blueprint)


def tried(model_type: str, lora: dict[str, Any]) -> Trial:
    with quiet():
        return prepared(model_type)[2].try_plan(Plan("user", lora))


def by_peft(model_type: str, lora: dict[str, Any]) -> tuple[str | None, int]:
    """The exception and the number of adapters when PEFT is called as a user would, on a model of its own."""
    from peft import LoraConfig, get_peft_model

    with quiet(), torch.device("meta"):
        model = build({"model_type": model_type}).model
        try:
            adapted = get_peft_model(model, LoraConfig(**lora))  # type: ignore[arg-type]
        except Exception as error:
            return f"{type(error).__name__}: {error}", 0
    tuner = adapted.base_model
    return None, len(set(tuner.targeted_module_names) | set(tuner.targeted_parameter_names))


@pytest.mark.parametrize(
    ("model_type", "plan"), list(itertools.product(TYPES, STOCK_PLANS)), ids=lambda value: getattr(value, "name", value)
)
def test_a_trial_is_what_peft_does(model_type: str, plan: Plan) -> None:
    raised, count = by_peft(model_type, dict(plan.lora))
    trial = tried(model_type, dict(plan.lora))
    if raised is None or trial.raised is None:
        assert (trial.raised, len(trial.adapted)) == (raised, count)
    else:
        assert str(trial.raised) == settled(raised)


@pytest.mark.parametrize("model_type", TYPES)
def test_the_model_is_given_back_as_it_was(model_type: str) -> None:
    model = prepared(model_type)[0]

    def state() -> list[Any]:
        modules = [(name, id(module), type(module), sorted(module.__dict__)) for name, module in model.named_modules()]
        parameters = [(name, id(parameter), parameter.requires_grad) for name, parameter in model.named_parameters()]
        return [modules, parameters, sorted(vars(model.config).items(), key=lambda item: item[0])]

    before = state()
    for lora in ({}, {"target_modules": "all-linear"}, NAMES, {"target_modules": ["0"]}, {"r": -1}):
        tried(model_type, lora)
        assert state() == before


def test_a_live_model_keeps_its_weights_and_gradients() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model(torch.ones(1, 4)).sum().backward()
    model[1].weight.requires_grad_(False)
    weights = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    gradient = model[0].weight.grad
    blueprint = survey(Skeleton(model), ModelInfo("live", "object", "", "", 0, 0))
    trial = Prover(model, blueprint).try_plan(Plan("user", {"target_modules": "all-linear"}))
    assert trial.adapted == ("0", "1")
    assert all(torch.equal(parameter, weights[name]) for name, parameter in model.named_parameters())
    assert model[0].weight.grad is gradient
    assert [parameter.requires_grad for parameter in model.parameters()] == [True, True, False, True]


class TestWhatATrialRecords:
    def test_the_site_at_which_peft_raised(self) -> None:
        trial = tried("moshi", {"target_modules": ["q_proj"]})
        assert trial.raised is not None
        assert trial.raised.at == "model.layers.0.self_attn.q_proj"
        assert len(trial.reached) == 32

    def test_no_site_where_peft_raised_about_the_plan(self) -> None:
        assert tried("llama", {"target_modules": ["nothing"]}).raised.at is None  # type: ignore[union-attr]
        assert tried("llama", {"target_modules": "all-linear", "layers_to_transform": [0]}).raised.at is None  # type: ignore[union-attr]

    def test_experts_as_parameters(self) -> None:
        trial = tried("qwen3_moe", NAMES)
        assert "model.layers.0.mlp.experts.gate_up_proj" in trial.adapted
        assert set(trial.rewritten["target_parameters"]) == {"gate_up_proj", "down_proj"}
        assert trial.coverage == 1.0

    def test_a_linear_reached_through_its_weight_is_the_linear(self) -> None:
        trial = tried("llama", {"target_modules": [], "target_parameters": ["self_attn.k_proj.weight"]})
        assert trial.adapted[0] == "model.layers.0.self_attn.k_proj"

    def test_towers(self) -> None:
        trial = tried("llava", {"target_modules": "all-linear"})
        assert trial.outside == 146
        assert trial.coverage == 1.0

    def test_what_each_entry_reaches(self) -> None:
        trial = tried(
            "llama",
            {
                "target_modules": ["q_proj", "no_such"],
                "exclude_modules": ["layers.0.self_attn.q_proj"],
                "modules_to_save": ["lm_head"],
                "layers_to_transform": [1, 99],
                "rank_pattern": {"q_proj": 4, "no_such": 4},
            },
        )
        hits = {(entry.setting, entry.value): len(entry.reaches) for entry in trial.entries}
        assert hits == {
            ("target_modules", "q_proj"): 32,
            ("target_modules", "no_such"): 0,
            ("exclude_modules", "layers.0.self_attn.q_proj"): 1,
            ("modules_to_save", "lm_head"): 1,
            ("layers_to_transform", "1"): 1,
            ("layers_to_transform", "99"): 0,
            ("rank_pattern", "q_proj"): 32,
            ("rank_pattern", "no_such"): 0,
        }
        assert trial.saved == ("lm_head",)

    def test_a_plan_that_is_no_lora_config(self) -> None:
        assert tried("llama", {"no_such_argument": 1}).raised.type == "TypeError"  # type: ignore[union-attr]

    @pytest.mark.parametrize(
        "lora", [{"target_modules": 5}, {"target_modules": ["q_proj"], "layers_to_transform": "all"}, {"r": "eight"}]
    )
    def test_a_plan_of_wrong_types(self, lora: dict[str, Any]) -> None:
        assert tried("llama", lora).raised is not None

    @pytest.mark.parametrize(
        "value", ["pissa", "pissa_niter_4", "olora", "OLoRA", "corda", "loftq", "eva", "orthogonal", "gaussian", False]
    )
    def test_an_initialisation_that_needs_weights_is_tried_without_them(self, value: object) -> None:
        assert tried("llama", {"target_modules": ["q_proj"], "init_lora_weights": value}).raised is None

    @pytest.mark.parametrize("lora", [{"init_lora_weights": "nonsense"}, {"init_lora_weights": "pissa_fast"}])
    def test_an_initialisation_that_peft_does_not_know(self, lora: dict[str, Any]) -> None:
        raised, _ = by_peft("llama", {"target_modules": ["q_proj"], **lora})
        assert raised is not None
        assert str(tried("llama", {"target_modules": ["q_proj"], **lora}).raised) == raised

    def test_replicated_layers_count_as_those_they_were_copied_from(self) -> None:
        trial = tried("llama", {"target_modules": ["q_proj", "lm_head"], "layer_replication": [[0, 2], [1, 4]]})
        layers = [f"model.layers.{layer}.self_attn.q_proj" for layer in range(4)]
        assert sorted(trial.adapted) == ["lm_head", *layers]
        once = tried("llama", {"target_modules": [r"layers.0.self_attn.q_proj"]}).trainable
        head = tried("llama", {"target_modules": ["lm_head"]}).trainable
        assert trial.trainable == 5 * once + head  # the copies are trained apart

    def test_a_refusal_at_a_replicated_layer_is_at_a_site(self) -> None:
        trial = tried("llama", {"target_modules": ["self_attn"], "layer_replication": [[3, 5]]})
        assert trial.raised is not None
        assert trial.raised.at == "model.layers.3.self_attn"


def test_an_initialisation_leaves_the_weights_of_a_live_model() -> None:
    model = nn.Sequential(nn.Linear(8, 8))
    before = model[0].weight.detach().clone()
    blueprint = survey(Skeleton(model), ModelInfo("live", "object", "", "", 0, 0))
    for value in ("pissa", "pissa_niter_2", "olora", "OLoRA", "mica", "orthogonal", "lora_ga"):
        plan = Plan("user", {"target_modules": ["0"], "r": 2, "init_lora_weights": value})
        assert Prover(model, blueprint).try_plan(plan).adapted == ("0",)
        assert torch.equal(model[0].weight, before)
