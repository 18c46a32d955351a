"""What a trial says of trainable parameters and of the adapter's file is what PEFT makes of the plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import get_peft_model
from safetensors.torch import load_file
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from archlint.core.blueprint import ModelInfo
from archlint.core.trial import Mute, Plan, Trial
from archlint.proving import Prover
from archlint.proving.gradients import Adapters
from archlint.proving.tuners import config_class
from archlint.quiet import quiet
from archlint.running import Batch, step
from archlint.skeleton import build
from archlint.survey import survey

SMALL: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "vocab_size": 256,
}
TIED = {"tie_word_embeddings": True}
IDS = torch.arange(8)[None]


def tried(lora: dict[str, Any], tuner: str = "LORA", **config: Any) -> Trial:
    with quiet():
        skeleton = build({"model_type": "llama", **SMALL, **config})
        blueprint = survey(skeleton, ModelInfo("llama", "type", "", "", 0, 0))
        return Prover(skeleton.model, blueprint).try_plan(Plan("user", lora, tuner))


def adapted(lora: dict[str, Any], tuner: str = "LORA", **config: Any) -> Any:
    with quiet():
        torch.manual_seed(0)
        return get_peft_model(LlamaForCausalLM(LlamaConfig(**SMALL, **config)), config_class(tuner)(**lora))


def trainable(model: nn.Module) -> int:
    return sum(part.numel() for part in model.parameters() if part.requires_grad)


def saved(model: Any, folder: Path) -> dict[str, torch.Tensor]:
    with quiet():
        model.save_pretrained(folder)
    return load_file(folder / "adapter_model.safetensors")


PLANS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"target_modules": ["q_proj", "v_proj"]}, {}),
    ({"target_modules": ["q_proj", "lm_head"]}, {}),
    ({"target_modules": ["q_proj", "embed_tokens"]}, {}),
    ({"target_modules": ["q_proj", "embed_tokens", "lm_head"]}, {}),
    ({"target_modules": r".*(q_proj|lm_head)"}, {}),
    ({"target_modules": ["q_proj", "model.embed_tokens"]}, {}),
    ({"target_modules": ["q_proj", "lm_head"], "trainable_token_indices": [1, 2]}, {}),
    ({"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]}, {}),
    ({"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens", "lm_head"]}, TIED),
    ({"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"], "ensure_weight_tying": True}, TIED),
    ({"target_modules": ["q_proj", "embed_tokens"], "ensure_weight_tying": True}, TIED),
    ({"target_modules": ["q_proj"], "trainable_token_indices": [1, 2], "ensure_weight_tying": True}, TIED),
    ({"target_modules": ["q_proj", "lm_head"]}, TIED),
]


@pytest.mark.parametrize(("lora", "config"), PLANS, ids=str)
def test_parameters_and_bytes(lora: dict[str, Any], config: dict[str, Any], tmp_path: Path) -> None:
    model = adapted(lora, **config)
    file = saved(model, tmp_path)
    trial = tried(lora, **config)
    assert trial.trainable == trainable(model)
    assert trial.size == sum(weight.nbytes for weight in file.values())
    carried = {
        key.removeprefix("base_model.model.").partition(".base_layer.")[0]: weight.nbytes
        for key, weight in file.items()
        if ".base_layer." in key
    }
    assert trial.carried == carried


@pytest.mark.parametrize(
    ("tuner", "lora"),
    [
        ("SHIRA", {"target_modules": ["q_proj", "v_proj"], "r": 2}),
        ("FROD", {"target_modules": ["q_proj", "v_proj"]}),
        ("UNILORA", {"target_modules": ["q_proj", "v_proj"], "r": 4}),
        ("LOHA", {"target_modules": ["q_proj", "v_proj"], "r": 4}),
        ("IA3", {"target_modules": ["q_proj", "v_proj"], "feedforward_modules": []}),
    ],
)
def test_what_is_not_known_is_not_told_as_none_at_all(tuner: str, lora: dict[str, Any], tmp_path: Path) -> None:
    model = adapted(lora, tuner)
    file = saved(model, tmp_path)
    trial = tried(lora, tuner)
    assert (trial.raised, trial.forward) == (None, "ok")
    assert trial.trainable in (None, trainable(model))
    assert trial.size in (None, sum(weight.nbytes for weight in file.values()))


def test_a_matrix_of_the_base_is_saved_in_the_type_that_the_base_is_loaded_in() -> None:
    lora = {"target_modules": ["q_proj", "lm_head"]}
    assert tried(lora, dtype="bfloat16").carried == {"lm_head": 256 * 64 * 2}


def test_sizing_asks_nobody_and_says_nothing() -> None:
    """A base that the hub knows is looked up there by ``save_pretrained``; the trial does without."""
    trial = tried({"target_modules": ["q_proj", "lm_head"]}, _name_or_path="someone/something")
    assert trial.size
    assert trial.notices == ()


class TestTokens:
    @pytest.mark.parametrize("indices", [[256], [3, 300], {"embed_tokens": [256]}])
    def test_rows_that_the_embedding_does_not_have(self, indices: Any) -> None:
        lora = {"target_modules": ["q_proj"], "trainable_token_indices": indices}
        with pytest.raises(IndexError) as error:
            adapted(lora)
        trial = tried(lora)
        assert trial.raised is not None
        assert str(trial.raised) == f"IndexError: {error.value}"
        assert trial.raised.rows == max(indices if isinstance(indices, list) else indices["embed_tokens"]) + 1

    def test_of_the_tuner_that_trains_tokens_alone(self) -> None:
        with pytest.raises(IndexError) as error:
            adapted({"token_indices": [256]}, "TRAINABLE_TOKENS")
        assert str(tried({"token_indices": [256]}, "TRAINABLE_TOKENS").raised) == f"IndexError: {error.value}"

    @pytest.mark.parametrize("indices", [[0, 255], [-1]])
    def test_rows_that_it_has(self, indices: list[int]) -> None:
        lora = {"target_modules": ["q_proj"], "trainable_token_indices": indices}
        trial = tried(lora)
        assert trial.raised is None
        assert trial.trainable == trainable(adapted(lora))


def zero_gradients(model: Any) -> set[str]:
    """The adapted modules whose adapter gets no gradient but zero."""
    base = model.base_model.model
    layers = Adapters(base, model.base_model.tuner_layer_cls).layers()
    with quiet():
        step(base, Batch({"input_ids": IDS, "labels": IDS}), "cpu")
    return {
        place.removesuffix(".weight")
        for place, layer in layers.items()
        if not any(weight.grad.any() for weight in layer.parameters() if weight.grad is not None)
    }


MUTED: list[tuple[str, dict[str, Any]]] = [
    ("LORA", {"target_modules": ["q_proj"], "lora_alpha": 0}),
    ("LORA", {"target_modules": ["q_proj"], "lora_alpha": 0, "init_lora_weights": False}),
    ("LORA", {"target_modules": ["q_proj"], "lora_alpha": 0, "use_rslora": True, "init_lora_weights": False}),
    ("LORA", {"target_modules": ["q_proj", "v_proj"], "alpha_pattern": {"q_proj": 0}, "init_lora_weights": False}),
    ("LORA", {"target_modules": ["q_proj"], "lora_alpha": 0, "use_dora": True, "init_lora_weights": False}),
    ("LORA", {"target_modules": ["q_proj", "embed_tokens"], "lora_dropout": 1.0, "init_lora_weights": False}),
    ("LORA", {"target_modules": ["q_proj"], "lora_dropout": 1.0, "lora_bias": True, "init_lora_weights": False}),
    ("LORA", {"target_modules": [], "target_parameters": ["q_proj.weight"], "lora_alpha": 0}),
    ("LORA", {"target_modules": ["q_proj"], "lora_alpha": 1, "lora_dropout": 0.5, "init_lora_weights": False}),
    ("LOHA", {"target_modules": ["q_proj"], "alpha": 0, "init_weights": False}),
    ("LOKR", {"target_modules": ["q_proj"], "alpha": 0, "init_weights": False}),
]


@pytest.mark.parametrize(("tuner", "lora"), MUTED, ids=str)
def test_adapters_that_are_multiplied_by_zero(tuner: str, lora: dict[str, Any]) -> None:
    expected = zero_gradients(adapted(lora, tuner))
    assert set(tried(lora, tuner).muted) == expected


def test_why_an_adapter_is_muted() -> None:
    assert set(tried({"target_modules": ["q_proj"], "lora_alpha": 0}).muted.values()) == {Mute.SCALING}
    assert set(tried({"target_modules": ["q_proj"], "lora_dropout": 1}).muted.values()) == {Mute.DROPOUT}
