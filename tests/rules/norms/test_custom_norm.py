"""ARC201: what LoRA, ``modules_to_save`` and the Trainer do with a norm of the model's own."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from archlint import Example
from archlint.core.finding import Severity
from archlint.rules.norms.custom_norm import CustomNorm
from archlint.testing import findings


def test_the_names_given_train_the_norms_and_nothing_else(
    adapt: Callable[..., Any], gradients: Callable[..., dict[str, bool]]
) -> None:
    (finding,) = findings(CustomNorm, Example("toy:norms.DecayedNorm"))
    told = re.search(r"modules_to_save takes ([^;]+);", finding.message)
    assert told is not None
    model = adapt("norms.DecayedNorm", target_modules=["q_proj"], modules_to_save=told[1].split(", "))
    got = gradients(model)
    saved = {name.partition(".modules_to_save")[0] for name in got if ".modules_to_save." in name}
    assert saved == {"layers.0.input_layernorm", "layers.1.input_layernorm", "norm_f"}
    assert all(got.values())


def test_lora_leaves_them_frozen(adapt: Callable[..., Any], gradients: Callable[..., dict[str, bool]]) -> None:
    got = gradients(adapt("norms.CustomNorms", target_modules="all-linear"))
    assert got
    assert not any("norm" in name for name in got)


def test_modules_to_save_asks_for_no_dot(adapt: Callable[..., Any]) -> None:
    model = adapt("norms.CustomNorms", target_modules=["q_proj"], modules_to_save=["norm"])
    assert any("input_layernorm.modules_to_save" in name for name, _ in model.named_parameters())


@pytest.mark.parametrize(
    "model",
    ["meta-llama/Llama-3.1-8B", "Qwen/Qwen3-8B", "mistralai/Mistral-7B-v0.3", "google/gemma-2-2b"],
)
def test_the_usual_families_have_them_as_an_info(model: str) -> None:
    (finding,) = findings(CustomNorm, Example(model, plan={"target_modules": "all-linear"}))
    assert finding.severity is Severity.INFO
    assert "none is decayed by the Trainer" in finding.message
    assert finding.location is not None


def test_norms_without_weights_have_nothing_to_train() -> None:
    found = findings(CustomNorm, Example("type:llama4_text", plan={"target_modules": ["q_proj"]}))
    assert ["without weights" in finding.message for finding in found] == [
        not any("Norm" in fold.type and "L2" not in fold.type for fold in finding.sites) for finding in found
    ]
    assert any("without weights" in finding.message for finding in found)
