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
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**{key: value for key, value in SMALL.items() if key != "model_type"}))


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


def test_most_tuners_are_run() -> None:
    """What is not run is the exception: an install without a package, inputs of the tuner's own, or its weights."""
    left = {tuner for tuner in tuners() if tried(tuner, {**DEMANDED.get(tuner, {}), **TARGETS["names"]}).not_run}
    assert left <= {"ADAMSS", "POLY", "SHIRA", "VBLORA"}


def test_the_same_arguments_are_another_plan_for_another_tuner() -> None:
    lora = {"target_modules": ["input_layernorm"]}
    assert tried("LORA", lora).raised is not None
    assert tried("LN_TUNING", lora).adapted == ("model.layers.0.input_layernorm", "model.layers.1.input_layernorm")


@pytest.mark.parametrize("tuner", ["PROMPT_TUNING", "PREFIX_TUNING", "P_TUNING", "XLORA", "ADAPTION_PROMPT", "no such"])
def test_what_places_nothing_by_module_has_no_trial(tuner: str) -> None:
    assert not places_by_module(tuner)
    with pytest.raises(UnknownTunerError, match=tuner):
        config_class(tuner)
    with pytest.raises(UnknownTunerError):
        tried(tuner, {})


@pytest.mark.parametrize("field", ["runtime_config", "eva_config", "corda_config", "velora_config", "kasa_config"])
def test_a_mapping_of_json_becomes_the_config_that_the_field_holds(field: str) -> None:
    plan = Plan("user", json.loads(f'{{"target_modules": ["q_proj"], "{field}": {{}}}}'))
    assert type(getattr(config_of(plan), field)).__name__.endswith("Config")


def test_what_was_saved_for_inference_is_tried_in_training() -> None:
    assert tried("LORA", {"target_modules": ["q_proj"], "inference_mode": True}).dead == ()


def test_a_crash_that_only_the_meta_device_has_is_none() -> None:
    trial = tried("LORA", {"target_modules": ["q_proj"], "monteclora_config": {}})
    assert (trial.raised, trial.crash, trial.forward, trial.ground) == (None, None, "ok", Ground.COPY)


def test_a_crash_that_no_copy_confirms_is_not_told() -> None:
    trial = tried("LORA", {"target_modules": ["q_proj"], "kasa_config": {}})
    assert (trial.raised, trial.crash, trial.forward, trial.ground) == (None, None, "unavailable", None)
    assert "meta device" in trial.not_run
