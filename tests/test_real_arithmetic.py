"""The checker is checked: what the meta device says of crashes and gradients is what real arithmetic does.

Each model is a small copy with random weights that is adapted by PEFT and trained for one step on the processor,
in plain code beside archlint's; the same small model without weights is what archlint judges.
"""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from archlint.core.blueprint import ModelInfo
from archlint.core.trial import Ground, Plan
from archlint.proving import Prover
from archlint.quiet import quiet
from archlint.running import batches, small_copy
from archlint.skeleton import Skeleton, build
from archlint.survey import survey

TYPES = (
    # dense decoders
    "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "phi", "phi3", "olmo2", "cohere", "granite",
    "smollm3", "gpt2", "gpt_neo", "gpt_neox", "gptj", "opt", "bloom", "falcon", "mpt", "stablelm",
    "glm", "exaone4",
    # experts
    "mixtral", "qwen2_moe", "qwen3_moe", "deepseek_v3", "glm4_moe", "gpt_oss", "olmoe", "phimoe", "llama4_text",
    "longcat_flash", "granitemoe", "minimax", "flex_olmo",
    # state spaces, hybrids, indexers, shared keys and values
    "mamba", "mamba2", "bamba", "qwen3_next", "granitemoehybrid", "recurrent_gemma",
    "glm_moe_dsa", "gemma3n_text", "lfm2",
    # encoders, and encoders with decoders
    "bert", "roberta", "distilbert", "modernbert", "electra", "t5", "bart", "whisper",
    # composites
    "llava", "qwen2_vl", "mllama", "idefics3", "clip", "siglip", "vit", "wav2vec2",
)  # fmt: skip


def plan_for(model: nn.Module) -> dict[str, Any]:
    """All linears, or all but the one that PEFT refuses."""
    with contextlib.suppress(ValueError), quiet():
        get_peft_model(copy.deepcopy(model), LoraConfig(target_modules="all-linear"))
        return {"target_modules": "all-linear"}
    return {"target_modules": ["in_proj", "x_proj", "dt_proj"]}


def trained(model: nn.Module, lora: dict[str, Any], inputs: dict[str, Any]) -> tuple[str | None, set[str]]:
    """The type of what the first training step raises, and the adapted modules without a gradient after it."""
    with quiet():
        adapted = get_peft_model(model, LoraConfig(**lora))
    adapted.train()
    for part in model.modules():
        if hasattr(part, "config"):
            part.config.use_cache = False  # as trainers do
    try:
        outputs = adapted.base_model.model(**inputs)
        loss = outputs.loss if getattr(outputs, "loss", None) is not None else outputs[0].float().sum()
        if loss.requires_grad:
            loss.backward()
    except Exception as error:
        return type(error).__name__, set()
    names = [name for name, weight in adapted.named_parameters() if ".lora_B." in name and weight.grad is None]
    return None, {name.removeprefix("base_model.model.").partition(".lora_B.")[0] for name in names}


def varied(inputs: dict[str, Any]) -> dict[str, Any]:
    """Tokens of all sorts where the input is text alone, so that every expert of a small copy gets some."""
    if not any("pixel" in name or ("input_" in name and name != "input_ids") for name in inputs):
        torch.manual_seed(0)
        inputs["input_ids"] = torch.randint(1, 30, inputs["input_ids"].shape)
    return inputs


@pytest.mark.parametrize("model_type", TYPES)
def test_the_verdict_is_that_of_real_arithmetic(model_type: str) -> None:
    with quiet():
        skeleton = build({"model_type": model_type})
        blueprint = survey(skeleton, ModelInfo(model_type, "type", "", "", 0, 0))
        real = small_copy(skeleton.model, lambda model: batches(model, blueprint))
        small = Skeleton(copy.deepcopy(real).to("meta"))
        described = survey(small, ModelInfo(model_type, "object", "", "", 0, 0), blueprint.scope)
        prover = Prover(small.model, described)
        lora = plan_for(real)
        trial = prover.try_plan(Plan("user", lora))
    assert prover.baseline.ground is Ground.META, prover.baseline.reason
    batch = next(batch for batch in batches(real, described) if tuple(batch.inputs) == prover.baseline.inputs)
    raised, dead = trained(real, lora, varied(batch.on("cpu")))
    assert (trial.crash.type if trial.crash else None) == raised
    assert set(trial.dead) == {name.replace(".base_layer", "") for name in dead}
