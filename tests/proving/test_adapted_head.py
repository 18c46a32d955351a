"""What trainers that take the head's weight say of a head with adapters."""

from __future__ import annotations

from typing import Any

import pytest
from peft import IA3Config, LoraConfig, PeftConfig, get_peft_model
from torch import nn

from archlint.fixtures.toys.trainers import Plain, Tied
from archlint.proving.adapted_head import refused_head


def adapted(model: nn.Module, config: PeftConfig | None = None, **lora: Any) -> nn.Module:
    get_peft_model(model, config or LoraConfig(**{"target_modules": ["q_proj"], **lora}))
    return model


class Raising(Plain):
    def get_output_embeddings(self) -> nn.Module | None:
        raise NotImplementedError("no head")


class Headless(Plain):
    def get_output_embeddings(self) -> nn.Module | None:
        return None


class Elsewhere(Plain):
    """Its head is no part of it."""

    def get_output_embeddings(self) -> nn.Module | None:
        return nn.Linear(8, 8)


@pytest.mark.parametrize(
    "config",
    [
        LoraConfig(target_modules=["q_proj", "lm_head"]),
        LoraConfig(target_modules=["lm_head"], use_dora=True),
        IA3Config(target_modules=["q_proj", "lm_head"], feedforward_modules=[]),
    ],
)
def test_an_adapter_on_the_head_is_refused_by_name(config: PeftConfig) -> None:
    refusal = refused_head(adapted(Plain(), config))
    assert refusal is not None
    assert (refusal.type, refusal.at) == ("ValueError", "lm_head")
    assert "lm_head" in refusal.message


def test_rows_of_a_tied_embedding_leave_a_head_that_is_refused() -> None:
    refusal = refused_head(adapted(Tied(), trainable_token_indices=[1]))
    assert refusal is not None
    assert refusal.at == "lm_head"


@pytest.mark.parametrize(
    "lora",
    [
        {},
        {"modules_to_save": ["lm_head"]},
        {"modules_to_save": ["embed_tokens"]},
        {"trainable_token_indices": [1]},
        {"target_modules": ["q_proj", "embed_tokens"]},
    ],
)
def test_a_head_that_keeps_its_weight_is_taken(lora: dict[str, Any]) -> None:
    assert refused_head(adapted(Plain(), **lora)) is None


@pytest.mark.parametrize("model", [Raising, Headless, Elsewhere])
def test_a_model_without_a_head_has_none_to_refuse(model: type[Plain]) -> None:
    assert refused_head(adapted(model())) is None


def test_a_module_that_is_not_transformers_has_none_either() -> None:
    assert refused_head(nn.Sequential(nn.Linear(4, 4))) is None
