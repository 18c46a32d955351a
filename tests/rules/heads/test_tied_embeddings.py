"""ARC401: what PEFT does to a weight that embedding and head share."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from archlint import Example
from archlint.core.finding import Severity
from archlint.rules.heads.tied_embeddings import TiedEmbeddings
from archlint.testing import findings

TOKENS = torch.arange(6)[None]


def merged(**lora: Any) -> tuple[float, Any]:
    """How far merging moves the logits of a trained adapter, and the merged model."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=16,
        hidden_size=8,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = get_peft_model(LlamaForCausalLM(config).eval(), LoraConfig(r=2, **lora))  # type: ignore[arg-type]
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data += 0.3 * torch.randn_like(parameter)
        before = model(TOKENS).logits
        whole = model.merge_and_unload()
    with torch.no_grad():
        return float((whole(TOKENS).logits - before).abs().max()), whole


@pytest.mark.parametrize(
    "lora",
    [
        {"target_modules": ["lm_head"]},
        {"target_modules": ["embed_tokens"]},
        {"target_modules": ["embed_tokens", "lm_head"]},
        {"target_modules": ["embed_tokens"], "ensure_weight_tying": True},
    ],
)
def test_merging_an_adapter_on_one_end_changes_the_model(lora: dict[str, Any]) -> None:
    moved, _ = merged(**lora)
    assert moved > 0.5
    (finding,) = findings(TiedEmbeddings, Example("toy:heads.Tied", plan=lora))
    assert finding.severity is Severity.WARNING
    assert "merging changes both" in finding.message


def test_a_saved_copy_leaves_the_other_end_as_it_was() -> None:
    lora = {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"]}
    _, whole = merged(**lora)
    assert not torch.equal(whole.get_input_embeddings().weight, whole.get_output_embeddings().weight)
    (finding,) = findings(TiedEmbeddings, Example("toy:heads.Tied", plan=lora))
    assert finding.severity is Severity.WARNING
    assert "lm_head keeps the weight" in finding.message


def test_the_fix_for_a_whole_embedding_keeps_one_weight_and_merges_right() -> None:
    lora = {"target_modules": ["q_proj", "lm_head"]}
    (finding,) = findings(TiedEmbeddings, Example("toy:heads.Tied", plan=lora))
    (plan,) = (remedy.plan for remedy in finding.remedies if remedy.plan and remedy.plan.get("ensure_weight_tying"))
    moved, whole = merged(**plan)
    assert moved < 1e-5
    assert whole.get_input_embeddings().weight is whole.get_output_embeddings().weight


def test_both_ends_saved_merge_right() -> None:
    lora = {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens", "lm_head"]}
    moved, _ = merged(**lora)
    assert moved < 1e-5
    (finding,) = findings(TiedEmbeddings, Example("toy:heads.Tied", plan=lora))
    assert finding.severity is Severity.INFO


def test_all_that_share_one_weight_are_one_finding() -> None:
    (finding,) = findings(TiedEmbeddings, Example("type:t5"))
    assert finding.severity is Severity.INFO
    assert finding.count == 4
    assert "lm_head" in finding.message


def test_an_untied_model_has_no_finding() -> None:
    assert findings(TiedEmbeddings, Example("meta-llama/Llama-3.1-8B-Instruct")) == []


def test_a_copy_that_gets_no_gradient_is_not_said_to_be_trained() -> None:
    """BART's encoder and decoder have embeddings of their own, and nothing calls the module they share with."""
    lora = {"target_modules": ["q_proj"], "modules_to_save": ["shared"]}
    (finding,) = findings(TiedEmbeddings, Example("type:bart", plan=lora))
    assert "the plan saves a copy of model.shared that gets no gradient" in finding.message
