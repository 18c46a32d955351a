"""Live models: what is unwrapped, and what cannot be checked as it is."""

from __future__ import annotations

import pytest
import torch
from peft import LoraConfig, PromptTuningConfig, get_peft_model
from torch import nn

from archlint.quiet import quiet
from archlint.skeleton import build
from archlint.survey import LiveModelError, plain_model


def test_a_plain_model_is_itself() -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    assert plain_model(model) is model


def test_wrappers_are_taken_off() -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    assert plain_model(torch.compile(model)) is model
    assert plain_model(nn.DataParallel(torch.compile(model))) is model


def test_an_adapted_model_is_refused() -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    adapted = get_peft_model(model, LoraConfig(target_modules=["0"]))  # type: ignore[arg-type]
    for held in (adapted, torch.compile(adapted), model):
        with pytest.raises(LiveModelError, match="holds PEFT adapters already: unload them first"):
            plain_model(held)
    assert plain_model(adapted.unload()) is model


def test_a_prompt_is_an_adapter_too() -> None:
    with quiet():
        model = build({"model_type": "gpt2", "n_layer": 1}).model
        adapted = get_peft_model(model, PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2))  # type: ignore[arg-type]
    with pytest.raises(LiveModelError, match="PEFT adapters"):
        plain_model(adapted)


def test_parameters_without_a_shape_are_named() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.LazyLinear(3))
    with pytest.raises(LiveModelError, match=r"^1\.weight has no shape yet"):
        plain_model(model)
    model(torch.ones(1, 2))
    assert plain_model(model) is model
