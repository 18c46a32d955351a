"""LoRA's initialisations do on the meta device what they do on real weights, and change none."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from archlint.core.blueprint import Blueprint, ModelInfo
from archlint.core.trial import Plan, Trial
from archlint.proving import Prover
from archlint.proving.initialisations import initialisations
from archlint.quiet import quiet
from archlint.running import restored
from archlint.skeleton import Skeleton, build
from archlint.survey import survey

LLAMA = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "vocab_size": 100,
}
EXPERTS = {
    **LLAMA,
    "model_type": "qwen3_moe",
    "head_dim": 16,
    "moe_intermediate_size": 32,
    "num_experts": 4,
    "num_experts_per_tok": 2,
}
CONVOLUTION = {
    "model_type": "vit",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 32,
    "patch_size": 8,
}
MODELS = {"llama": LLAMA, "experts": EXPERTS, "convolution": CONVOLUTION}
NAMES = ["q_proj", "gate_proj", "up_proj", "down_proj"]


@cache
def prover(name: str) -> tuple[nn.Module, Blueprint, Prover]:
    with quiet():
        skeleton = build(MODELS[name])
        blueprint = survey(skeleton, ModelInfo(name, "type", "", "", 0, 0))
    return skeleton.model, blueprint, Prover(skeleton.model, blueprint)


def tried(name: str, lora: dict[str, Any]) -> Trial:
    with quiet():
        return prover(name)[2].try_plan(Plan("user", lora))


def by_peft(name: str, lora: dict[str, Any]) -> tuple[str | None, int]:
    """What PEFT raises on a model with weights, and how many parameters it trains."""
    meta = prover(name)[0]
    torch.manual_seed(0)
    with quiet():
        model = type(meta)(meta.config)  # type: ignore[arg-type]
        try:
            peft = get_peft_model(model, LoraConfig(**lora))
        except Exception as error:
            return f"{type(error).__name__}: {error}", 0
    return None, sum(part.numel() for part in peft.parameters() if part.requires_grad)


@pytest.mark.parametrize(
    ("name", "lora"),
    [
        ("experts", {"target_modules": NAMES, "init_lora_weights": "pissa"}),
        ("experts", {"target_modules": NAMES, "init_lora_weights": "mica"}),
        ("experts", {"target_parameters": ["experts.down_proj"], "init_lora_weights": "olora"}),
        ("experts", {"target_parameters": ["experts.down_proj"], "init_lora_weights": "pissa_niter_4"}),
        ("experts", {"target_parameters": ["experts.down_proj"], "init_lora_weights": "orthogonal"}),
        ("experts", {"target_parameters": ["experts.down_proj"], "init_lora_weights": "eva"}),
        ("convolution", {"target_modules": ["projection"], "init_lora_weights": "pissa"}),
        ("convolution", {"target_modules": ["projection"], "init_lora_weights": "olora"}),
        ("convolution", {"target_modules": ["query", "projection"], "init_lora_weights": "mica"}),
        ("convolution", {"target_modules": ["query"], "init_lora_weights": "olora"}),
        ("llama", {"target_modules": ["q_proj"], "init_lora_weights": "mica", "r": 4}),
        ("llama", {"target_modules": ["q_proj"], "init_lora_weights": "mica", "r": 512}),
        ("llama", {"target_modules": ["q_proj", "down_proj"], "init_lora_weights": "pissa", "r": 512}),
        ("llama", {"target_modules": ["q_proj", "down_proj"], "init_lora_weights": "pissa_niter_2", "r": 512}),
        ("llama", {"target_modules": ["q_proj", "down_proj"], "init_lora_weights": "OLoRA", "r": 512}),
        ("llama", {"target_modules": ["q_proj"], "init_lora_weights": "pissa", "use_dora": True}),
        ("llama", {"target_modules": ["q_proj"], "init_lora_weights": "orthogonal", "r": 3}),
        ("llama", {"target_modules": ["embed_tokens"], "init_lora_weights": "pissa"}),
    ],
    ids=str,
)
def test_an_initialisation_does_what_it_does_on_real_weights(name: str, lora: dict[str, Any]) -> None:
    raised, trainable = by_peft(name, lora)
    trial = tried(name, lora)
    if raised is not None:
        assert str(trial.raised) == raised
    else:
        assert (trial.raised, trial.trainable, trial.forward) == (None, trainable, "ok")


@pytest.mark.parametrize("value", ["pissa", "corda", "loftq", "lora_ga"])
def test_experts_have_no_weight_to_initialise_from(value: str) -> None:
    trial = tried("experts", {"target_modules": NAMES, "init_lora_weights": value})
    assert trial.raised is not None
    assert (trial.raised.type, trial.raised.at) == ("AttributeError", "model.layers.0.mlp.experts.gate_up_proj")


@pytest.mark.parametrize("value", ["corda", "loftq", "lora_ga"])
def test_data_that_an_initialisation_asks_for_is_not_missed(value: str) -> None:
    trial = tried("llama", {"target_modules": ["q_proj"], "init_lora_weights": value})
    assert (trial.raised, trial.forward, trial.trainable) == (None, "ok", 2 * 8 * (64 + 64))


def test_the_weights_of_a_live_model_are_left_alone() -> None:
    from peft.tuners.lora import LoraLayer

    model = nn.Sequential(nn.Linear(8, 8))
    methods = dict(vars(LoraLayer))
    before = model[0].weight.detach().clone()
    blueprint = survey(Skeleton(model), ModelInfo("live", "object", "", "", 0, 0))
    for value in ("pissa", "olora", "mica", "orthogonal"):
        plan = Plan("user", {"target_modules": ["0"], "r": 2, "init_lora_weights": value})
        assert Prover(model, blueprint).try_plan(plan).adapted == ("0",)
        assert torch.equal(model[0].weight, before)
    assert dict(vars(LoraLayer)) == methods


def test_the_weights_of_a_meta_model_are_the_same_tensors() -> None:
    model, _, _ = prover("llama")
    before = [(parameter, parameter.dtype, parameter.stride()) for parameter in model.parameters()]
    with restored(model):
        tried("llama", {"target_modules": "all-linear", "init_lora_weights": "pissa", "r": 5})
    assert all(
        one is other and (dtype, stride) == (other.dtype, other.stride())
        for (one, dtype, stride), other in zip(before, model.parameters(), strict=True)
    )


def test_matrices_on_meta_alone_are_left_unfilled() -> None:
    before = nn.init.kaiming_uniform_
    with initialisations(on_meta=True):
        assert nn.Linear(3, 4, device="meta").weight.shape == (4, 3)
        assert nn.Linear(3, 4, device="cpu").weight.count_nonzero() == 12
        with pytest.warns(UserWarning, match="zero-element"):
            nn.init.kaiming_uniform_(torch.empty(0, 3, device="meta"))
        with pytest.raises(ValueError, match="fewer than 2 dimensions"):
            nn.init.kaiming_uniform_(torch.empty(3, device="meta"))
    assert nn.init.kaiming_uniform_ is before
