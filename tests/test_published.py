"""Published adapters, made and saved by PEFT: loaded by name and shape as PEFT loads them."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import (
    AdaLoraConfig,
    IA3Config,
    LoHaConfig,
    LoraConfig,
    PeftConfig,
    PeftModel,
    get_peft_model,
    get_peft_model_state_dict,
)
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    LlamaConfig,
    PreTrainedModel,
)

from archlint import lint
from archlint.core.report import Report
from archlint.sources import SourceError
from archlint.sources.tensors import shapes

TINY = LlamaConfig(
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    vocab_size=64,
    tie_word_embeddings=False,
)
WEIGHTS = "adapter_model.safetensors"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    TINY.save_pretrained(tmp_path / "base")
    file = tmp_path / "base" / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "architectures": ["LlamaForCausalLM"]}))
    return tmp_path / "base"


def model() -> PreTrainedModel:
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(TINY)


@pytest.fixture
def publish(base: Path, tmp_path: Path) -> Callable[[PeftConfig], Path]:
    def save(config: PeftConfig) -> Path:
        adapted = get_peft_model(model(), config)
        adapted.peft_config["default"].base_model_name_or_path = str(base)
        adapted.save_pretrained(tmp_path / "adapter")
        return tmp_path / "adapter"

    return save


def renamed(folder: Path, change: Callable[[str], str | None]) -> None:
    tensors = load_file(folder / WEIGHTS)
    save_file({new: tensor for key, tensor in tensors.items() if (new := change(key)) is not None}, folder / WEIGHTS)


def said(folder: Path) -> list[Any]:
    return [finding for finding in report(folder).findings if finding.code == "ARC802"]


def report(folder: Path) -> Report:
    return lint(str(folder), offline=True)


def missing_in_peft(folder: Path) -> int:
    """How many weights PEFT itself says that it lacks."""
    with pytest.warns(UserWarning, match="missing adapter keys") as caught:
        PeftModel.from_pretrained(model(), folder)
    (text,) = [str(one.message) for one in caught if "missing adapter keys" in str(one.message)]
    return text.count("lora_")


@pytest.mark.parametrize(
    "config",
    [
        LoraConfig(target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM"),
        LoraConfig(target_modules=["q_proj"], use_dora=True, modules_to_save=["lm_head"]),
        LoraConfig(target_modules=["q_proj"], trainable_token_indices={"embed_tokens": [1, 2]}, bias="all"),
        LoHaConfig(target_modules=["v_proj"]),
        IA3Config(target_modules=["k_proj"], feedforward_modules=[]),
        AdaLoraConfig(target_modules=["q_proj"], total_step=10),
    ],
    ids=lambda config: config.peft_type.value,
)
def test_what_peft_saved_fits(publish: Callable[[PeftConfig], Path], config: PeftConfig) -> None:
    found = report(publish(config))
    assert found.ok, found
    assert found.plan is not None
    assert found.plan.adapted
    assert found.source.endswith("adapter")


def test_a_classifier_brings_a_head_of_its_own(base: Path, tmp_path: Path) -> None:
    config = LlamaConfig(**{**TINY.to_dict(), "num_labels": 5, "pad_token_id": 0})
    adapted = get_peft_model(
        AutoModelForSequenceClassification.from_config(config),
        LoraConfig(target_modules=["q_proj"], task_type="SEQ_CLS"),
    )
    adapted.peft_config["default"].base_model_name_or_path = str(base)
    adapted.save_pretrained(tmp_path / "adapter")
    found = report(tmp_path / "adapter")
    assert found.ok, found
    assert found.model is not None
    assert found.model.class_name == "LlamaForSequenceClassification"


@pytest.mark.parametrize(("here", "once"), [("model.model.layers", "model.transformer.layers"), ("self_attn", "attn")])
def test_modules_that_were_renamed_since(publish: Callable[[PeftConfig], Path], here: str, once: str) -> None:
    folder = publish(LoraConfig(target_modules=["q_proj"]))
    trained = load_file(folder / WEIGHTS)
    renamed(folder, lambda key: key.replace(here, once))
    (finding,) = said(folder)
    assert finding.severity.value == "error", "nothing of it is loaded"
    assert "4 of 4 keys match nothing" in finding.message
    assert "4 places get no weights" in finding.message
    assert missing_in_peft(folder) == 4
    (remedy,) = finding.remedies
    loaded = PeftModel.from_pretrained(model(), folder, key_mapping=remedy.value)
    there = get_peft_model_state_dict(loaded)
    assert there.keys() == trained.keys()
    assert all(torch.equal(there[key], tensor) for key, tensor in trained.items())


def test_a_layer_that_is_not_in_the_file(publish: Callable[[PeftConfig], Path]) -> None:
    folder = publish(LoraConfig(target_modules=["q_proj"]))
    renamed(folder, lambda key: None if "layers.1." in key else key)
    (finding,) = said(folder)
    assert finding.severity.value == "warning"
    assert finding.message.startswith("2 places get no weights")
    assert "save the adapter again" in finding.remedies[0].text
    assert missing_in_peft(folder) == 2


def test_keys_without_the_prefix_of_peft(publish: Callable[[PeftConfig], Path]) -> None:
    folder = publish(LoraConfig(target_modules=["q_proj"]))
    renamed(folder, lambda key: key.removeprefix("base_model.model."))
    (finding,) = said(folder)
    assert finding.severity.value == "error"
    assert "base_model.model. is missing before them" in finding.message
    assert missing_in_peft(folder) == 4
    (remedy,) = finding.remedies
    renamed(folder, lambda key: f"{remedy.value}{key}")
    assert said(folder) == []


def test_layers_that_the_settings_do_not_name(publish: Callable[[PeftConfig], Path]) -> None:
    folder = publish(LoraConfig(target_modules=["q_proj", "v_proj"]))
    set_to(folder, target_modules=["q_proj"])
    (finding,) = said(folder)
    assert finding.severity.value == "warning"
    assert "4 of 8 keys match nothing" in finding.message
    assert "the file holds more" in finding.remedies[0].text


def set_to(folder: Path, **settings: Any) -> None:
    file = folder / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **settings}))


def test_a_rank_that_is_not_that_of_the_file(publish: Callable[[PeftConfig], Path]) -> None:
    folder = publish(LoraConfig(target_modules=["q_proj"], r=8))
    set_to(folder, r=4)
    (finding,) = said(folder)
    assert finding.severity.value == "error"
    assert "4 shapes differ" in finding.message
    assert "is [8, 32] in the file, and [4, 32] in the model" in finding.message
    assert finding.plan_line is not None
    assert finding.plan_line.key == "r"
    with pytest.raises(RuntimeError, match="size mismatch"):
        PeftModel.from_pretrained(model(), folder)
    (remedy,) = finding.remedies
    assert remedy.text.startswith("r is 8 in the file")
    set_to(folder, **remedy.value)
    PeftModel.from_pretrained(model(), folder)
    assert said(folder) == []


def test_ranks_of_single_layers_that_were_lost(publish: Callable[[PeftConfig], Path]) -> None:
    folder = publish(LoraConfig(target_modules=["q_proj", "v_proj"], r=8, rank_pattern={"v_proj": 4}))
    set_to(folder, rank_pattern={})
    (finding,) = said(folder)
    assert finding.severity.value == "error"
    assert "correct the ranks" in finding.remedies[0].text
    assert not finding.remedies[0].proven


def test_an_adapter_without_weights_is_judged_by_its_settings(publish: Callable[[PeftConfig], Path]) -> None:
    folder = publish(LoraConfig(target_modules=["q_proj", "nowhere"]))
    (folder / WEIGHTS).unlink()
    found = report(folder / "adapter_config.json")
    assert [finding.code for finding in found.findings if finding.severity.value == "warning"] == ["ARC504"]
    assert not found.unchecked


def test_a_pickle_is_not_opened(publish: Callable[[PeftConfig], Path]) -> None:
    folder = publish(LoraConfig(target_modules=["q_proj"]))
    (folder / WEIGHTS).rename(folder / "adapter_model.bin")
    (unchecked,) = report(folder).unchecked
    assert "pickle" in unchecked.why


def test_a_folder_without_weights_is_not_clean_and_settings_alone_are(publish: Callable[[PeftConfig], Path]) -> None:
    folder = publish(LoraConfig(target_modules=["q_proj"]))
    (folder / WEIGHTS).unlink()
    (unchecked,) = report(folder).unchecked
    assert f"no {WEIGHTS}" in unchecked.why
    assert report(folder / "adapter_config.json").ok


@pytest.mark.parametrize("base_model", [None, "", "./gone"])
def test_an_adapter_whose_base_is_not_there(publish: Callable[[PeftConfig], Path], base_model: str | None) -> None:
    folder = publish(LoraConfig(target_modules=["q_proj"]))
    file = folder / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "base_model_name_or_path": base_model}))
    found = report(folder)
    assert found.status == "unchecked"
    assert len(found.unchecked) == 1
    assert base_model or "--adapter-config" in found.unchecked[0].why


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 8,
        struct.pack("<Q", 100) + b"{}",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 3) + b"{a}",
        struct.pack("<Q", 8) + b'{"a": 1}',
        struct.pack("<Q", 20) + b'{"a":{"shape":[-1]}}',
        struct.pack("<Q", 22) + b'{"a":{"shape":["b"]}} ',
        struct.pack("<Q", 41) + b'{"a":{"shape":[1]},"a":{"shape":[1]}}    ',
    ],
)
def test_a_header_that_is_none(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / WEIGHTS
    file.write_bytes(content)
    with pytest.raises(SourceError) as error:
        shapes(file)
    assert "\n" not in str(error.value)


def test_names_and_shapes_are_those_of_the_library(publish: Callable[[PeftConfig], Path]) -> None:
    folder = publish(LoraConfig(target_modules=["q_proj"]))
    assert shapes(folder / WEIGHTS) == {key: tuple(t.shape) for key, t in load_file(folder / WEIGHTS).items()}


def test_a_model_with_an_adapter_beside_it_is_a_model(base: Path, publish: Callable[[PeftConfig], Path]) -> None:
    folder = publish(LoraConfig(target_modules=["q_proj"]))
    (folder / "config.json").write_text((base / "config.json").read_text())
    found = report(folder)
    assert found.plan is None
    assert AutoConfig.from_pretrained(folder).model_type == "llama"
