"""Modules that ``modules_to_save`` trains in full, and whether they get a gradient."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import BartConfig, BartForConditionalGeneration

from archlint.core.blueprint import ModelInfo
from archlint.core.trial import Ground, Plan, Trial
from archlint.proving import Prover
from archlint.quiet import quiet
from archlint.running import Batch, step
from archlint.skeleton import build
from archlint.survey import survey

BART: dict[str, Any] = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "vocab_size": 64,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "decoder_start_token_id": 2,
    "forced_eos_token_id": 2,
}
TEXT = r".*language_model.*\.(q_proj|v_proj)"


def tried(lora: dict[str, Any], **config: Any) -> Trial:
    with quiet():
        skeleton = build(config)
        blueprint = survey(skeleton, ModelInfo("small", "type", "", "", 0, 0))
        return Prover(skeleton.model, blueprint).try_plan(Plan("user", lora))


def without_gradient(model: nn.Module, lora: dict[str, Any]) -> set[str]:
    """The saved modules none of whose weights gets a gradient on a batch of tokens."""
    from peft.utils.other import AuxiliaryTrainingWrapper

    with quiet():
        get_peft_model(model, LoraConfig(**lora))
    ids = torch.arange(3, 9)[None]
    step(model, Batch({"input_ids": ids, "labels": ids}), "cpu")
    return {
        name
        for name, module in model.named_modules()
        if isinstance(module, AuxiliaryTrainingWrapper)
        and all(weight.grad is None for weight in module.parameters() if weight.requires_grad)
    }


@pytest.mark.parametrize("saved", [["shared"], ["lm_head"], ["final_layer_norm"], ["shared", "fc1"]])
def test_bart(saved: list[str]) -> None:
    lora = {"target_modules": ["q_proj", "v_proj"], "modules_to_save": saved}
    torch.manual_seed(0)
    expected = without_gradient(BartForConditionalGeneration(BartConfig(**BART)), lora)
    trial = tried(lora, model_type="bart", **BART)
    assert trial.forward == "ok"
    assert set(trial.saved_dead) == expected


@pytest.mark.parametrize(
    ("saved", "dead"),
    [
        (["multi_modal_projector"], ["model.multi_modal_projector"]),
        (["vision_tower"], ["model.vision_tower"]),
        (["vision_tower", "lm_head"], ["model.vision_tower"]),
        (["lm_head"], []),
    ],
)
def test_a_batch_of_text_does_not_reach_what_reads_images(saved: list[str], dead: list[str]) -> None:
    trial = tried({"target_modules": TEXT, "modules_to_save": saved}, model_type="llava")
    assert (trial.forward, trial.ground, trial.dead) == ("ok", Ground.META, ())
    assert list(trial.saved_dead) == dead


def test_rows_of_tokens_are_trained_too() -> None:
    lora = {"target_modules": ["q_proj"], "trainable_token_indices": [1, 2]}
    trial = tried(lora, model_type="llama", hidden_size=64, num_hidden_layers=2, vocab_size=100)
    assert (trial.saved, trial.saved_dead) == (("model.embed_tokens",), ())


def test_on_a_small_copy() -> None:
    """JetMoe runs on real numbers only."""
    lora = {"target_modules": ["q_proj", "kv_proj"], "modules_to_save": ["lm_head"]}
    trial = tried(lora, model_type="jetmoe")
    assert (trial.forward, trial.ground, trial.saved, trial.saved_dead) == ("ok", Ground.COPY, ("lm_head",), ())
