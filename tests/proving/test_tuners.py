"""Every tuner that places adapters by module is tried as it would be on real weights."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
import torch
from torch import nn

from archlint.core.blueprint import Blueprint, ModelInfo
from archlint.core.trial import Ground, Plan, Trial
from archlint.proving import Prover
from archlint.proving.gradients import Adapters
from archlint.proving.tuners import UnknownTunerError, config_class, config_of, places_by_module, tuners
from archlint.quiet import quiet
from archlint.running import Batch, NoLossError, restored, step
from archlint.skeleton import build
from archlint.survey import survey

SMALL = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "vocab_size": 100,
}
DEMANDED: dict[str, dict[str, Any]] = {
    # what a tuner needs to be told, or has to be told on weights this small
    "ADALORA": {"total_step": 10},
    "C3A": {"block_size": 32},
    "VBLORA": {"vector_length": 32},
    "SHIRA": {"r": 8},
    "TRAINABLE_TOKENS": {"token_indices": [1, 2]},
}
TARGETS: dict[str, dict[str, Any]] = {
    "the default": {},
    "names": {"target_modules": ["q_proj", "down_proj"]},
    "a pattern": {"target_modules": r".*\.1\..*\.(k_proj|up_proj)"},
    "all-linear": {"target_modules": "all-linear"},
    "norms": {"target_modules": ["input_layernorm"]},
    "a block": {"target_modules": ["q_proj", "self_attn"]},
    "nothing": {"target_modules": ["nothing"]},
}
IDS = torch.arange(8)[None]


@cache
def prepared() -> tuple[nn.Module, Blueprint, Prover]:
    with quiet():
        skeleton = build(SMALL)
        blueprint = survey(skeleton, ModelInfo("llama", "type", "", "", 0, 0))
    return skeleton.model, blueprint, Prover(skeleton.model, blueprint)


@cache
def real() -> nn.Module:
    torch.manual_seed(0)
    with quiet():
        model = build(SMALL).model.to_empty(device="cpu")
    for module in model.modules():
        if hasattr(module, "original_inv_freq"):  # no weight, and left empty like the weights
            inverse = module.compute_default_rope_parameters(module.config, "cpu")[0]
            module.inv_freq, module.original_inv_freq = inverse, inverse.clone()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.02)
    return model


def tried(tuner: str, lora: dict[str, Any]) -> Trial:
    with quiet():
        return prepared()[2].try_plan(Plan("user", lora, tuner))


def by_peft(tuner: str, lora: dict[str, Any]) -> dict[str, Any]:
    """What comes of a plan where PEFT is called as a user would, on real weights."""
    from peft import get_peft_model

    model = real()
    with quiet(), restored(model), torch.random.fork_rng(devices=[]):
        try:
            peft = get_peft_model(model, config_class(tuner)(**lora))
        except Exception as error:
            return {"raised": f"{type(error).__name__}: {error}"}
        adapters = Adapters(model, peft.base_model.tuner_layer_cls)
        found = {
            "raised": None,
            "adapted": set(peft.base_model.targeted_module_names),
            "trainable": sum(part.numel() for part in peft.parameters() if part.requires_grad),
        }
        try:
            step(model, Batch({"input_ids": IDS, "labels": IDS}), "cpu")
        except NoLossError:
            pass
        except Exception as error:
            return {**found, "crash": type(error).__name__}
        return {**found, "crash": None, "dead": set(adapters.without_gradient())}


@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize("tuner", tuners())
def test_a_trial_is_what_peft_does_on_real_weights(tuner: str, targets: str) -> None:
    lora = {**DEMANDED.get(tuner, {}), **TARGETS[targets]}
    expected = by_peft(tuner, lora)
    trial = tried(tuner, lora)
    if trial.not_run:  # that is never wrong, and has a reason
        assert (trial.raised, trial.forward, trial.crash, trial.dead) == (None, "unavailable", None, ())
        return
    if expected["raised"] is not None:
        assert trial.raised is not None
        assert sorted(str(trial.raised)) == sorted(expected["raised"])  # a message may print a set
        return
    assert trial.raised is None
    assert set(trial.adapted) == expected["adapted"]
    assert (trial.crash.type if trial.crash else None) == expected["crash"]
    if trial.crash is None:
        assert (trial.forward, set(trial.dead)) == ("ok", expected["dead"])
    if trial.ground is Ground.META:
        assert trial.trainable == expected["trainable"]
