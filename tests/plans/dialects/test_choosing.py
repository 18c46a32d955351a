"""The layers that trainers choose by themselves, beside the rules as the benchmark restates them on modules.

The benchmark's rules go by model types, those of the dialects by what a blueprint shows.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from archlint.core.blueprint import Blueprint, ModelInfo, Scope
from archlint.plans.dialects.axolotl import Axolotl
from archlint.plans.dialects.flat import FlatDialect
from archlint.plans.dialects.linears import reaches
from archlint.plans.dialects.llama_factory import LlamaFactory
from archlint.plans.dialects.ms_swift import MsSwift
from archlint.plans.dialects.unsloth import Unsloth
from archlint.plans.document import Document
from archlint.plans.documents.python_document import PythonDocument
from archlint.plans.documents.yaml_document import YamlDocument
from archlint.quiet import quiet
from archlint.skeleton import build
from archlint.sources import SourceOptions, resolve
from archlint.survey import survey

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
import peers

FILES: dict[str, tuple[FlatDialect, type[Document], str]] = {
    "axolotl": (Axolotl(), YamlDocument, "base_model: m\nadapter: lora\nlora_r: 8\nlora_target_linear: true\n"),
    "llama-factory": (LlamaFactory(), YamlDocument, "model_name_or_path: m\nfinetuning_type: lora\n"),
    "ms-swift": (MsSwift(), YamlDocument, "model: m\ntuner_type: lora\n"),
    "unsloth": (Unsloth(), PythonDocument, "FastVisionModel.get_peft_model(model)"),
    "unsloth-text": (Unsloth(), PythonDocument, "FastVisionModel.get_peft_model(model, finetune_vision_layers=False)"),
}
MODELS = [
    "Qwen/Qwen3-0.6B",
    "Qwen/Qwen3-30B-A3B",
    "google/gemma-4-E4B-it",
    "google/gemma-3-4b-it",
    "Qwen/Qwen2.5-VL-7B-Instruct",
    "Qwen/Qwen3-VL-8B-Instruct",
    "Qwen/Qwen3.5-35B-A3B",
]


@functools.cache
def surveyed(source: str) -> tuple[nn.Module, Blueprint]:
    with quiet():
        config = resolve(source, SourceOptions(offline=True)).config
        assert config is not None
        skeleton = build(config)
        return skeleton.model, survey(skeleton, ModelInfo(source, "object", "", "", 0, 0), Scope.TEXT)


def chosen(dialect: FlatDialect, kind: type[Document], text: str, source: str) -> dict[str, Any]:
    document = kind(Path("f"), text)
    section = dialect.claims(document)[0][1]
    reading = dialect.read(document, section)
    assert reading.waits
    return dialect.choose(reading, surveyed(source)[1])


def reached(arguments: dict[str, Any], model: nn.Module) -> tuple[set[str], set[str]]:
    """The modules with a weight that PEFT would adapt, and the parameters."""
    targets, excluded = arguments.get("target_modules"), arguments.get("exclude_modules")
    modules = {
        path
        for path, module in model.named_modules()
        if hasattr(module, "weight") and reaches(targets, path) and not (excluded and reaches(excluded, path))
    }
    return modules, set(arguments.get("target_parameters") or ())


@pytest.mark.parametrize("tool", FILES)
@pytest.mark.parametrize("source", MODELS)
def test_the_choice_is_that_of_the_rules_on_modules(tool: str, source: str) -> None:
    model, _ = surveyed(source)
    found = reached(chosen(*FILES[tool], source), model)
    assert found[0]
    assert found == reached(peers.PEERS[tool](model), model)


@pytest.mark.parametrize("tool", ["llama-factory", "ms-swift"])
def test_an_encoder_before_a_decoder_is_no_tower(tool: str) -> None:
    model, _ = surveyed("type:whisper")
    found = reached(chosen(*FILES[tool], "type:whisper"), model)
    assert found == reached(peers.PEERS[tool](model), model)
    assert any(".encoder." in path for path in found[0])


def test_unsloth_reaches_nested_layers_that_its_earlier_version_left() -> None:
    """``model.layers.N.mlp.shared_experts.down_proj`` and leaves seen once: 2026.10.9 takes them in its expression."""
    model, _ = surveyed("deepseek-ai/DeepSeek-V2-Lite")
    now, _ = reached(chosen(*FILES["unsloth"], "deepseek-ai/DeepSeek-V2-Lite"), model)
    before, _ = reached(peers.unsloth(model), model)
    assert before < now
    assert "model.layers.1.mlp.shared_experts.down_proj" in now - before


def test_axolotl_takes_the_name_of_one_output_head_out() -> None:
    """GPT-NeoX's is ``embed_out`` to axolotl, whose ``lm_head`` it so adapts; here both names are left out."""
    model, _ = surveyed("EleutherAI/pythia-6.9b")
    ours, _ = reached(chosen(*FILES["axolotl"], "EleutherAI/pythia-6.9b"), model)
    assert reached(peers.axolotl(model), model)[0] - ours == {"lm_head"}


@pytest.mark.parametrize("tool", ["llama-factory", "ms-swift"])
def test_unfrozen_towers_are_adapted_too(tool: str) -> None:
    dialect, kind, text = FILES[tool]
    key = {"llama-factory": "freeze_vision_tower", "ms-swift": "freeze_vit"}[tool]
    source = "google/gemma-3-4b-it"
    model, _ = surveyed(source)
    frozen, _ = reached(chosen(dialect, kind, text, source), model)
    thawed, _ = reached(chosen(dialect, kind, f"{text}{key}: false\n", source), model)
    assert frozen < thawed
    assert all("vision_tower" in path for path in thawed - frozen)


def test_llama_factory_keeps_names_that_were_given_from_a_tower() -> None:
    text = "model_name_or_path: m\nfinetuning_type: lora\nlora_target: q_proj,v_proj\n"
    paths = chosen(LlamaFactory(), YamlDocument, text, "google/gemma-3-4b-it")["target_modules"]
    assert len(paths) == 68
    assert all(path.startswith("model.language_model.layers.") for path in paths)
    plain = chosen(LlamaFactory(), YamlDocument, text, "Qwen/Qwen3-0.6B")["target_modules"]
    assert plain == ["q_proj", "v_proj"]


def test_unsloth_keeps_plain_names_where_they_say_the_same() -> None:
    text = "FastLanguageModel.get_peft_model(model)"
    assert chosen(Unsloth(), PythonDocument, text, "Qwen/Qwen3-0.6B") == {
        "r": 16,
        "lora_alpha": 16,
        "task_type": "CAUSAL_LM",
        "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
    }


def test_unsloth_adapts_the_last_layers_only() -> None:
    text = "FastModel.get_peft_model(model, target_modules=['q_proj'], finetune_last_n_layers=2)"
    assert chosen(Unsloth(), PythonDocument, text, "Qwen/Qwen3-0.6B")["layers_to_transform"] == [26, 27]
    text = "FastVisionModel.get_peft_model(model, finetune_vision_layers=False, finetune_last_n_layers=1)"
    paths = chosen(Unsloth(), PythonDocument, text, "Qwen/Qwen3-0.6B")["target_modules"]
    assert len(paths) == 7
    assert all(path.startswith("model.layers.27.") for path in paths)


def test_axolotl_reaches_the_linear_inside_a_wrapper() -> None:
    text = "base_model: m\nadapter: lora\nlora_r: 8\nlora_target_modules: [q_proj]\n"
    model, _ = surveyed("google/gemma-4-E4B-it")
    arguments = chosen(Axolotl(), YamlDocument, text, "google/gemma-4-E4B-it")
    modules, _ = reached(arguments, model)
    inner = [path for path in modules if path.endswith(".q_proj.linear")]
    assert inner
    assert not {path.removesuffix(".linear") for path in inner} & modules


def test_ms_swift_takes_embeddings_and_norms_by_a_word() -> None:
    text = "model: m\ntuner_type: lora\ntarget_modules: [all-linear, all-embedding]\nmodules_to_save: [all-norm]\n"
    arguments = chosen(MsSwift(), YamlDocument, text, "Qwen/Qwen3-0.6B")
    assert "embed_tokens" in arguments["target_modules"]
    assert {"input_layernorm", "q_norm"} <= set(arguments["modules_to_save"])
