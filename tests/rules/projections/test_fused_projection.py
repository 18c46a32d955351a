"""ARC105: which layers hold several projections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from archlint import Example
from archlint.rules.projections.fused_projection import FusedProjection
from archlint.testing import findings


def test_one_adapter_serves_all_parts(adapt: Callable[..., Any]) -> None:
    layer = adapt("projections.Fused", target_modules=["qkv_proj"], r=2).base_model.model.layers[0].qkv_proj
    width = layer.in_features
    assert layer.lora_A["default"].weight.shape == (2, width)
    assert layer.lora_B["default"].weight.shape == (3 * width, 2)


@pytest.mark.parametrize(
    ("model", "names"),
    [
        ("microsoft/Phi-3.5-mini-instruct", {"qkv", "gate_up"}),
        ("openai-community/gpt2", {"c_attn"}),
        ("EleutherAI/gpt-neox-20b", {"query_key_value"}),
        ("answerdotai/ModernBERT-base", {"Wqkv", "Wi"}),
    ],
)
def test_published_models(model: str, names: set[str]) -> None:
    (finding,) = findings(FusedProjection, Example(model, plan={"target_modules": "all-linear"}))
    assert {name for name in names if name in finding.message} == names


@pytest.mark.parametrize("model", ["meta-llama/Llama-3.1-8B", "Qwen/Qwen3-8B", "google-bert/bert-base-uncased"])
def test_separate_projections_are_not(model: str) -> None:
    assert findings(FusedProjection, Example(model, plan={"target_modules": "all-linear"})) == []
