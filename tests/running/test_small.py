"""A small copy is a real model of the same structure: what holds for one holds for the other."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoConfig

from archlint.core.folding import without_indices
from archlint.quiet import quiet
from archlint.running.batch import Batch, text_batches
from archlint.running.on_meta import runnable
from archlint.running.small import NoSmallCopyError, one_thread, same_structure, small_copy
from archlint.running.step import forward, step
from archlint.skeleton import build
from archlint.sources import SourceOptions, resolve

TYPES = (
    "llama",  # dense
    "gpt2",  # Conv1D
    "deepseek_v3",  # dense layers before the experts
    "longcat_flash",  # experts that compute nothing
    "nllb-moe",  # each expert a module, in an encoder and a decoder
    "jamba",  # Mamba, attention and experts
    "granitemoehybrid",  # Mamba, with shared experts
    "t5",
    "llava",
    "qwen2_5_vl",  # heads whose width is fixed by a default in its code
    "gemma3n_text",  # layers that share keys and values
)
SNAPSHOTS = ("google/gemma-4-E2B-it", "deepseek-ai/DeepSeek-V3", "Qwen/Qwen3-VL-8B-Instruct")


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    with one_thread():
        yield


@cache
def skeleton(source: str) -> nn.Module:
    config = {"model_type": source} if "/" not in source else resolve(source, SourceOptions(offline=True)).config
    assert config is not None
    with quiet():
        return build(config).model


def changed(model_type: str, **values: Any) -> nn.Module:
    with quiet():
        return build(AutoConfig.for_model(model_type, **values).to_dict()).model


def copied(model: nn.Module) -> nn.Module:
    with quiet():
        return small_copy(model)


def untrained(model: nn.Module, device: str) -> set[str]:
    """The parameters that one step on text gives no gradient to, as patterns."""
    with quiet():
        for batch in text_batches(model):
            with contextlib.suppress(ValueError), runnable(model) if device == "meta" else contextlib.nullcontext():
                step(model, batch, device)
                break
        else:
            raise AssertionError("no batch runs")
    found = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    model.zero_grad()
    return {re.sub(r"\d+", "*", without_indices(name)) for name in found}


def first_that_runs(model: nn.Module) -> Batch:
    for batch in text_batches(model):
        with contextlib.suppress(ValueError), torch.no_grad():
            forward(model, batch, "cpu")
            return batch
    raise AssertionError("no batch runs")


@pytest.mark.parametrize("source", [*TYPES, *SNAPSHOTS])
def test_a_copy_has_the_structure_is_small_and_trains(source: str) -> None:
    model = skeleton(source)
    copy = copied(model)
    assert type(copy) is type(model)
    assert same_structure(model, copy)
    assert sum(parameter.numel() for parameter in copy.parameters()) < 10_000_000
    assert {(parameter.device.type, parameter.dtype) for parameter in copy.parameters()} == {("cpu", torch.float32)}
    with quiet():
        batch = first_that_runs(copy)
        loss = forward(copy, batch, "cpu").loss
        loss.backward()
    assert loss.isfinite()
    gradients = [parameter.grad for parameter in copy.parameters() if parameter.grad is not None]
    assert gradients
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)


@pytest.mark.parametrize(
    ("model_type", "fewer"),
    [
        ("deepseek_v3", {"num_hidden_layers": 5}),
        ("nllb-moe", {"encoder_layers": 4, "decoder_layers": 4, "num_experts": 8}),
        ("jamba", {"num_hidden_layers": 8}),
        ("llava", {}),  # an idle tower
        ("moshi", {}),  # an idle decoder
        ("glm_moe_dsa", {"num_hidden_layers": 5}),  # indexers that compute without gradients
    ],
)
def test_the_copy_trains_what_the_model_trains_on_meta(model_type: str, fewer: dict[str, Any]) -> None:
    model = changed(model_type, **fewer)
    assert untrained(copied(model), "cpu") == untrained(model, "meta")


def test_a_copy_is_the_same_each_time_and_leaves_no_trace() -> None:
    model = skeleton("llama")
    config, state = model.config.to_dict(), torch.get_rng_state()  # type: ignore[union-attr, operator]
    one, two = copied(model), copied(model)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert model.config.to_dict() == config  # type: ignore[union-attr, operator]
    assert torch.equal(torch.get_rng_state(), state)


def test_a_copy_was_not_run_yet() -> None:
    """Some models exchange their attention for another kind when they are run on few tokens."""
    copy = copied(changed("big_bird", num_hidden_layers=2))
    with quiet():
        forward(copy, next(text_batches(copy)), "cpu")
    assert not same_structure(skeleton("big_bird"), copy)
    assert same_structure(skeleton("big_bird"), copied(skeleton("big_bird")))


@pytest.mark.parametrize(
    ("model_type", "less"),
    [
        ("deepseek_v3", {"num_hidden_layers": 3}),  # no layer with experts
        ("gemma3_text", {"num_hidden_layers": 5}),  # no layer with full attention: the same classes, another setting
        ("llama", {"tie_word_embeddings": True}),
        ("llama", {"attention_bias": True}),
    ],
)
def test_what_lost_a_kind_has_another_structure(model_type: str, less: dict[str, Any]) -> None:
    assert same_structure(skeleton(model_type), changed(model_type))
    assert not same_structure(skeleton(model_type), changed(model_type, **less))


def test_the_number_of_layers_and_experts_does_not_matter() -> None:
    fewer = changed("deepseek_v3", num_hidden_layers=5, n_routed_experts=16)
    assert same_structure(skeleton("deepseek_v3"), fewer)


def test_torch_has_its_threads_again() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        copied(skeleton("gpt2"))
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


def test_batches_can_be_given() -> None:
    tried: list[nn.Module] = []

    def none(model: nn.Module) -> Iterator[Batch]:
        tried.append(model)
        return iter(())

    with quiet(), pytest.raises(NoSmallCopyError, match="takes no input that a batch can be made of"):
        small_copy(skeleton("llama"), none)
    assert tried


def test_where_there_is_none_the_best_attempt_is_told() -> None:
    with quiet(), pytest.raises(NoSmallCopyError, match=r"TypeError: .*'pixel_values'"):
        small_copy(skeleton("blip-2"))


def test_a_module_without_a_config_has_none() -> None:
    with pytest.raises(NoSmallCopyError, match="no config"):
        small_copy(nn.Linear(2, 2))
