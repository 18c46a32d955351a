"""Live models: what is unwrapped, and what cannot be checked as it is."""

from __future__ import annotations

import threading

import pytest
import torch
from accelerate.hooks import ModelHook, add_hook_to_module
from peft import LoraConfig, PromptTuningConfig, get_peft_model
from torch import nn

from archlint.quiet import quiet
from archlint.skeleton import build
from archlint.survey import LiveModelError, plain_model, without_weights


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


def test_a_twin_has_the_structure_and_no_weights() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    model[0].weight.requires_grad_(False)
    twin = without_weights(model)
    assert all(tensor.is_meta for tensor in (*twin.parameters(), *twin.buffers()))
    assert not any(tensor.is_meta for tensor in (*model.parameters(), *model.buffers()))
    assert [(n, type(m)) for n, m in twin.named_modules()] == [(n, type(m)) for n, m in model.named_modules()]
    assert [p.requires_grad for p in twin.parameters()] == [p.requires_grad for p in model.parameters()]


def test_tied_weights_stay_tied() -> None:
    model = nn.Sequential(nn.Embedding(3, 2), nn.Linear(2, 3, bias=False))
    model[1].weight = model[0].weight
    twin = without_weights(model)
    assert twin[1].weight is twin[0].weight  # type: ignore[index]


def test_hooks_that_move_inputs_are_left_behind() -> None:
    model = nn.Sequential(nn.Linear(2, 3))
    add_hook_to_module(model[0], ModelHook())
    twin = without_weights(model)
    assert hasattr(model[0], "_hf_hook")
    assert not hasattr(twin[0], "_hf_hook")  # type: ignore[index]
    assert twin(torch.empty(1, 2, device="meta")).shape == (1, 3)


def test_weights_of_a_class_of_their_own_and_what_cannot_be_copied_stay() -> None:
    class Packed(nn.Parameter):
        pass

    quantized = nn.Linear(2, 3)
    quantized.weight = Packed(torch.ones(3, 2))
    locked = nn.Linear(2, 3)
    locked.lock = threading.Lock()  # type: ignore[assignment]
    assert without_weights(quantized) is quantized
    assert without_weights(locked) is locked
