"""TRL's own SFTTrainer, driven for two steps on small copies: what it says, and that archlint says the same."""

from __future__ import annotations

import math
import os
import random
import tempfile
from functools import cache
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from queue import Queue
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from torch import nn

import archlint
from archlint.core.blueprint import Blueprint, ModelInfo
from archlint.core.training import Trained, Trainer
from archlint.core.trial import Plan, Trial
from archlint.proving import Prover, real_training
from archlint.proving.real_training import STEPS, train
from archlint.proving.rows import rows, tokenizer
from archlint.quiet import quiet
from archlint.running import configs, small_copy
from archlint.skeleton import build
from archlint.sources import SourceOptions, resolve
from archlint.survey import survey

pytest.importorskip("trl", reason="TRL is not installed")

LINEAR = {"target_modules": "all-linear"}

ARCHITECTURES = {
    "dense": "bitnet cohere granite llama olmo2 phi phi3 qwen3 stablelm",
    "old": "biogpt bloom cpmant ctrl gpt2 gpt_bigcode gpt_neox_japanese openai-gpt opt xglm xlm",
    "experts": "doge granitemoe jetmoe mixtral olmoe phimoe",
    "recurrent": "granitemoehybrid lfm2 mamba recurrent_gemma",
    "pictures": "gemma4_unified got_ocr2 llava smolvlm",
    "encoders": "bart bert-generation bigbird_pegasus fsmt m2m_100 prophetnet t5",
}
"""Model types whose default is not costly to check, of all kinds that a trainer might treat differently."""
NO_HELP = {"gradient_checkpointing": False, "router_aux_loss_coef": 0.0}
"""Arguments without which a trainer may raise earlier, and of something else."""


@cache
def surveyed(source: str) -> tuple[nn.Module, Blueprint]:
    with quiet():
        config = resolve(source, SourceOptions(offline=True)).config
        assert config is not None
        skeleton = build(config)
        return skeleton.model, survey(skeleton, ModelInfo(source, "type", "", "", 0, 0))


@cache
def prover(source: str) -> Prover:
    return Prover(*surveyed(source))


def trial(source: str, lora: dict[str, Any]) -> Trial:
    with quiet():
        return prover(source).try_plan(Plan("user", lora))


def trained(source: str, lora: dict[str, Any] = LINEAR, **arguments: Any) -> Trained:
    tried = trial(source, lora)
    with quiet():
        return train(*surveyed(source), tried, arguments)


def test_two_steps_of_a_model_that_trains() -> None:
    found = trained("type:llama")
    assert (found.trainer, found.reason, found.raised, found.dead) == (Trainer.SFT, "", None, ())
    assert len(found.losses) == STEPS
    assert all(map(math.isfinite, found.losses))
    assert found.version


@pytest.mark.parametrize(
    ("source", "lora", "type", "message", "file"),
    [
        (
            "type:llama",
            {"target_modules": ["q_proj", "lm_head"]},
            "ValueError",
            "lm_head",
            "trl/trainer/sft_trainer.py",
        ),
        (
            "type:llama4_text",
            {"target_modules": ["q_proj"]},
            "AttributeError",
            "last_hidden_state",
            "trl/trainer/utils.py",
        ),
        ("type:granitemoe", LINEAR, "AttributeError", "num_experts", "transformers/"),
        ("type:ctrl", LINEAR, "ValueError", "activation checkpointing", "transformers/modeling_utils.py"),
    ],
)
def test_what_the_trainer_raises(source: str, lora: dict[str, Any], type: str, message: str, file: str) -> None:
    raised = trained(source, lora).raised
    assert raised is not None
    assert raised.type == type
    assert message in raised.message
    assert (raised.file or "").startswith(file)
    assert raised.line


def test_where_a_model_raises_under_the_trainer() -> None:
    found = trained("type:phimoe", router_aux_loss_coef=0.0)
    assert found.raised is not None
    assert found.raised.at == "model.layers.0.mlp.router"
    assert found.losses == ()


@pytest.mark.parametrize(
    ("source", "arguments"),
    [
        ("type:granitemoe", {"router_aux_loss_coef": 0.0}),
        ("type:ctrl", {"gradient_checkpointing": False}),
        ("type:llama", {"bf16": True}),
        ("type:llama", {"gradient_accumulation_steps": 4, "max_steps": 100, "report_to": "wandb"}),
        ("type:llama", {"dataset_text_field": "body", "eos_token": "<|end|>", "completion_only_loss": True}),
        ("type:llama", {"fp16": True}),
    ],
)
def test_arguments_with_which_it_trains(source: str, arguments: dict[str, Any]) -> None:
    found = trained(source, **arguments)
    assert (found.reason, found.raised, found.dead) == ("", None, ())
    assert len(found.losses) == STEPS


def test_an_argument_that_the_trainer_does_not_know() -> None:
    raised = trained("type:llama", router_aux_los_coef=0.0).raised
    assert raised is not None
    assert (raised.type, "router_aux_los_coef" in raised.message) == ("TypeError", True)


def test_adapters_without_a_gradient_are_told_in_every_layer_of_the_model() -> None:
    lora = {"target_modules": ["query", "query_global"]}
    found = trained("type:led", lora)
    assert set(found.dead) == {path for path in trial("type:led", lora).adapted if path.endswith("query_global")}
    assert len(found.dead) == 12


def test_a_module_that_is_trained_in_full_and_gets_no_gradient() -> None:
    lora = {"target_modules": r".*language_model.*q_proj", "modules_to_save": ["multi_modal_projector"]}
    assert trained("type:gemma3", lora).dead == ("model.multi_modal_projector",)


def test_an_adapter_on_a_parameter_of_a_linear_layer_is_that_layers() -> None:
    found = trained("type:llama", {"target_modules": ["q_proj"], "target_parameters": ["up_proj.weight"]})
    assert (found.reason, found.raised, found.dead) == ("", None, ())


def test_a_plan_for_one_layer_cannot_be_tried_where_a_copy_lacks_it() -> None:
    assert trained("type:llama", {"target_modules": ["model.layers.30.self_attn.q_proj"]}).reason


def test_a_model_that_does_not_run_on_text() -> None:
    with quiet():
        assert "pixel_values" in train(*surveyed("type:blip"), Trial(Plan("user")), {}).reason


def test_without_trl(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(real_training, "version", missing)
    assert trained("type:llama") == Trained(reason="TRL is not installed: pip install 'archlint[trl]'")


def test_what_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = trial("type:llama", LINEAR)
    monkeypatch.setattr(real_training, "MAX_SECONDS", 0.05)
    with quiet():
        found = train(*surveyed("type:llama"), tried, {})
    assert "take more than" in found.reason


def test_nothing_is_said_left_behind_or_changed(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, blueprint = surveyed("type:llama")
    tried = trial("type:llama", LINEAR)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    names = [name for name, _ in model.named_modules()]
    environment, threads = dict(os.environ), torch.get_num_threads()
    numbers, arrays, tensors = random.getstate(), np.random.get_state(), torch.get_rng_state()
    with quiet():
        train(model, blueprint, tried, {})
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []
    assert [name for name, _ in model.named_modules()] == names
    assert (dict(os.environ), torch.get_num_threads()) == (environment, threads)
    assert random.getstate() == numbers
    assert all(np.array_equal(one, other) for one, other in zip(np.random.get_state(), arrays, strict=True))
    assert torch.equal(torch.get_rng_state(), tensors)


def test_nobody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub.utils import _telemetry

    messages: Queue[Any] = Queue()
    monkeypatch.setattr(_telemetry, "_TELEMETRY_QUEUE", messages)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    assert trained("type:llama").losses
    assert messages.empty()
    assert not constants.HF_HUB_OFFLINE


def test_a_run_is_told_the_same_a_second_time() -> None:
    assert trained("type:llama") == trained("type:llama")


def test_the_callers_own_accelerator_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    tried = trial("type:llama", LINEAR)
    try:
        mine = Accelerator(mixed_precision="bf16", cpu=True)
        monkeypatch.setenv("WORLD_SIZE", "2")  # as a launcher tells each of two processes
        monkeypatch.setenv("RANK", "1")
        with quiet():
            assert train(*surveyed("type:llama"), tried, {}).losses
        assert (mine.mixed_precision, mine.num_processes, AcceleratorState().mixed_precision) == ("bf16", 1, "bf16")
        assert (os.environ["WORLD_SIZE"], os.environ["RANK"]) == ("2", "1")
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.parametrize("source", ["type:llama", "type:gemma3", "type:opt"])
def test_words_are_tokens_without_a_meaning_of_their_own(source: str) -> None:
    with quiet():
        model = small_copy(surveyed(source)[0])
        words = tokenizer(model)
        ids = {token for row in rows() for token in words(row)["input_ids"]}
    given = {
        value
        for config in configs(model)
        for name, value in vars(config).items()
        if name.endswith("token_id") and isinstance(value, int)
    }
    assert not ids & {*given, *words.all_special_ids}
    assert max(*ids, *words.all_special_ids) < model.get_input_embeddings().num_embeddings  # type: ignore[operator]
    assert len({words.pad_token_id, words.eos_token_id, words.unk_token_id}) == 3


@pytest.mark.parametrize("name", [name for names in ARCHITECTURES.values() for name in names.split()])
def test_the_trainer_does_what_archlint_says_of_a_model(name: str) -> None:
    source = f"type:{name}"
    report = archlint.lint(source, offline=True, select=["ARC7"])
    assert Trainer.SFT in report.training.trainers
    assert report.recipe is not None
    crash = report.training.fused or report.training.bare
    arguments = NO_HELP if report.trainer is None else report.trainer
    with quiet():
        found = train(*surveyed(source), report.recipe, arguments)
        without = train(*surveyed(source), report.recipe, {}) if report.trainer else None
    assert found.reason == ""
    if crash is not None:
        assert found.raised is not None
        assert found.raised.type == crash.type
    else:
        assert (found.raised, found.dead) == (None, ())
        assert len(found.losses) == STEPS
        assert without is None or without.raised is not None


@pytest.mark.parametrize(
    ("source", "lora"),
    [
        ("type:llama", {"target_modules": ["q_proj", "lm_head"]}),
        ("type:llama", {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]}),
        ("type:llama", {"target_modules": ["q_proj"], "trainable_token_indices": [5]}),
        ("type:gemma", {"target_modules": ["q_proj", "lm_head"]}),
        ("type:gemma", {"target_modules": ["q_proj"], "trainable_token_indices": [5]}),
        (
            "type:gemma",
            {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"], "ensure_weight_tying": True},
        ),
    ],
)
def test_the_trainer_does_what_archlint_says_of_a_head(source: str, lora: dict[str, Any]) -> None:
    report = archlint.lint(source, plan=lora, offline=True, select=["ARC7"])
    refused = [finding for finding in report.findings if finding.code == "ARC702"]
    assert bool(refused) is (trained(source, lora).raised is not None)
