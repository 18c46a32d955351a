"""What single trainers make of their keys, each fact from the tool's own source (named in its dialect)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from archlint.plans.dialect import Reading
from archlint.plans.dialects.axolotl import Axolotl
from archlint.plans.dialects.flat import FlatDialect
from archlint.plans.dialects.llama_factory import LlamaFactory
from archlint.plans.dialects.ms_swift import MsSwift
from archlint.plans.dialects.unsloth import Unsloth, UnslothCommand
from archlint.plans.document import Document, PlanError
from archlint.plans.documents.command_document import CommandDocument
from archlint.plans.documents.json_document import JsonDocument
from archlint.plans.documents.python_document import PythonDocument
from archlint.plans.documents.yaml_document import YamlDocument


def read(dialect: FlatDialect, kind: type[Document], text: str) -> Reading:
    document = kind(Path("f"), text)
    return dialect.read(document, dialect.claims(document)[0][1])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lora_rank: 16", {"r": 16, "lora_alpha": 32}),
        ("lora_rank: 16\nlora_alpha: 0", {"r": 16, "lora_alpha": 32}),
        ("lora_target: q_proj, v_proj", {"target_modules": ["q_proj", "v_proj"]}),
        ("additional_target: embed_tokens,lm_head", {"modules_to_save": ["embed_tokens", "lm_head"]}),
        ("pissa_init: true", {"init_lora_weights": "pissa_niter_16"}),
        ("pissa_init: true\npissa_iter: -1", {"init_lora_weights": "pissa"}),
    ],
)
def test_llama_factory(text: str, expected: dict[str, Any]) -> None:
    found = read(LlamaFactory(), YamlDocument, f"model_name_or_path: m\nfinetuning_type: lora\n{text}\n").arguments
    assert {key: found.get(key) for key in expected} == expected


def test_llama_factory_has_oft() -> None:
    text = "model_name_or_path: m\nfinetuning_type: oft\noft_rank: 4\noft_block_size: 0\nlora_target: q_proj\n"
    reading = read(LlamaFactory(), YamlDocument, text)
    assert reading.tuner == "OFT"
    assert (reading.arguments["r"], reading.arguments["oft_block_size"]) == (4, 0)
    assert not {"lora_alpha", "use_dora"} & reading.arguments.keys()


def test_axolotl_drops_an_exclusion_and_that_is_told() -> None:
    text = "base_model: m\nadapter: qlora\nlora_r: 8\nlora_target_modules: [q_proj]\nlora_exclude_modules: [vision]\n"
    reading = read(Axolotl(), YamlDocument, text)
    assert "exclude_modules" not in reading.arguments
    assert [note.line for note in reading.notes if "drops" in note.text] == [5]


def test_axolotl_reads_what_it_calls_peft() -> None:
    text = "base_model: m\nadapter: lora\nlora_r: 8\npeft_use_dora: true\npeft_layers_to_transform: [0, 1]\n"
    text += "peft:\n  loftq_config:\n    loftq_bits: 4\n"
    arguments = read(Axolotl(), YamlDocument, text).arguments
    assert (arguments["use_dora"], arguments["layers_to_transform"]) == (True, [0, 1])
    assert (arguments["init_lora_weights"], arguments["target_modules"]) == ("loftq", [])


@pytest.mark.parametrize("key", ["tuner_type", "train_type", "sft_type"])
def test_ms_swift_knows_its_earlier_names(key: str) -> None:
    reading = read(MsSwift(), CommandDocument, f"swift sft --model m --{key} lora --target_modules q_proj v_proj")
    assert (reading.arguments["target_modules"], reading.base_model) == (["q_proj", "v_proj"], "m")
    assert reading.unknown == ()
    assert (reading.arguments["lora_alpha"], reading.arguments["lora_dropout"]) == (32, 0.05)


@pytest.mark.parametrize(("kind", "own"), [("vera", {"r": 64}), ("boft", {"target_modules": ["q_proj"]})])
def test_ms_swift_has_other_tuners(kind: str, own: dict[str, Any]) -> None:
    reading = read(MsSwift(), YamlDocument, f"model: m\ntuner_type: {kind}\ntarget_modules: [q_proj]\nvera_rank: 64\n")
    assert reading.tuner == kind.upper()
    assert own.items() <= dict(reading.arguments).items()
    assert "lora_alpha" not in reading.arguments


def test_what_ms_swift_saves_is_read_without_a_word_on_all_that_it_worked_out() -> None:
    text = '{"model": "m", "tuner_type": "lora", "target_modules": ".*q_proj", "swift_version": "4.6.0", "rank": -1}'
    reading = read(MsSwift(), JsonDocument, text)
    assert (reading.arguments["target_modules"], reading.unknown) == (".*q_proj", ())


def test_unsloth_names_the_model_that_is_loaded() -> None:
    text = "m, t = FastLanguageModel.from_pretrained(model_name='a/b')\nm = FastLanguageModel.get_peft_model(m, r=8)\n"
    reading = read(Unsloth(), PythonDocument, text)
    assert (reading.base_model, reading.hints["language"]) == ("a/b", True)


def test_unsloth_trains_embeddings_in_full() -> None:
    text = "FastModel.get_peft_model(model, target_modules=['q_proj', 'lm_head', 'embed_tokens'])"
    reading = read(Unsloth(), PythonDocument, text)
    assert reading.arguments["target_modules"] == ["q_proj"]
    assert reading.arguments["modules_to_save"] == ["lm_head", "embed_tokens"]
    assert "in full" in reading.notes[0].text


def test_unsloth_by_place_is_refused_and_peft_alone_is_not_claimed() -> None:
    with pytest.raises(PlanError, match="by their names only"):
        read(Unsloth(), PythonDocument, "FastModel.get_peft_model(model, 16)")
    assert Unsloth().claims(PythonDocument(Path("f"), "get_peft_model(model, config)")) == []


def test_the_command_of_unsloth_has_defaults_of_its_own() -> None:
    reading = read(UnslothCommand(), CommandDocument, "unsloth train --model a/b --no-use-rslora --lora-dropout 0.1")
    assert (reading.arguments["r"], reading.arguments["lora_dropout"], reading.unknown) == (64, 0.1, ())


def test_megatron_is_refused() -> None:
    with pytest.raises(PlanError, match="f:1: megatron adapts modules of its own making"):
        read(MsSwift(), CommandDocument, "megatron sft --model m --tuner_type lora")


def test_axolotl_has_no_default_rank_and_that_is_told() -> None:
    reading = read(Axolotl(), YamlDocument, "base_model: m\nadapter: lora\nlora_target_modules: [q_proj]\n")
    assert [note.text.split()[5].rstrip(",") for note in reading.notes] == ["lora_r", "lora_alpha"]
    assert "lora_r: 8\nlora_alpha: 8\n" in Axolotl().fragment({"target_modules": ["q_proj"]}, "m")


@pytest.mark.parametrize("text", ["freeze_vision_tower: false", "freeze_multi_modal_projector: true"])
def test_that_parts_are_told_by_their_role_is_said(text: str) -> None:
    reading = read(LlamaFactory(), YamlDocument, f"model_name_or_path: m\nfinetuning_type: lora\n{text}\n")
    assert any(note.line == 3 and "by their role" in note.text for note in reading.notes)


@pytest.mark.parametrize(
    "key", ["warmup_ratio", "logging_dir", "overwrite_output_dir", "warmup_steps", "save_safetensors"]
)
def test_a_key_of_any_transformers_that_the_tool_runs_with_is_known(key: str) -> None:
    text = f"model_name_or_path: m\nfinetuning_type: lora\n{key}: 1\n"
    assert not [note for note in read(LlamaFactory(), YamlDocument, text).notes if key in note.text]
