"""What tools do that PEFT does not, on models where it matters; each fact from the tool's own source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from archlint.plans import PlanError, read_plan_file
from archlint.plans.dialects.axolotl import Axolotl
from archlint.plans.dialects.llama_factory import LlamaFactory
from archlint.plans.dialects.ms_swift import MsSwift
from archlint.plans.dialects.trl import Trl
from archlint.plans.dialects.unsloth import Unsloth
from archlint.plans.documents.python_document import PythonDocument
from archlint.plans.documents.yaml_document import YamlDocument
from archlint.plans.written import read_back

from .test_choosing import chosen, reached, surveyed

AXOLOTL = "base_model: m\nadapter: lora\nlora_r: 8\nlora_alpha: 16\n"
SWIFT = "model: m\ntuner_type: lora\n"


@pytest.mark.parametrize(
    ("source", "names", "keeps"),
    [
        ("type:mixtral", "[q_proj, w1, w2, w3]", False),
        ("type:mixtral", "[q_proj, v_proj]", True),
        ("type:mixtral", "'.*'", False),
        ("type:llama", "[q_proj, gate_proj]", True),
    ],
)
def test_axolotl_keeps_dropout_from_fused_experts(source: str, names: str, keeps: bool) -> None:
    text = f"{AXOLOTL}lora_dropout: 0.05\nlora_target_modules: {names}\n"
    assert ("lora_dropout" in chosen(Axolotl(), YamlDocument, text, source)) is keeps


def test_axolotl_refuses_dropout_beside_parameters_that_are_named() -> None:
    text = f"{AXOLOTL}lora_dropout: 0.05\nlora_target_modules: [q_proj]\nlora_target_parameters: [experts.down_proj]\n"
    assert chosen(Axolotl(), YamlDocument, text, "type:mixtral")["lora_dropout"] == 0.05
    assert Axolotl().spell({"target_parameters": ["a"]}) == {"lora_target_parameters": ["a"], "lora_dropout": 0.0}


@pytest.mark.parametrize("dialect", [Trl(), MsSwift()])
def test_a_default_dropout_is_put_off_where_parameters_are_adapted(dialect: Trl | MsSwift) -> None:
    text = dialect.fragment({"target_modules": ["q_proj"], "target_parameters": ["experts.down_proj"]}, "m")
    assert "lora_dropout" not in read_back(dialect, text).reading.arguments
    text = dialect.fragment({"target_modules": ["q_proj"]}, "m")
    assert read_back(dialect, text).reading.arguments["lora_dropout"] == 0.05


def test_axolotl_hands_on_what_is_true() -> None:
    text = f"{AXOLOTL}lora_target_modules: [q_proj]\npeft_init_lora_weights: false\nlora_modules_to_save: []\n"
    text += "peft:\n  loftq_config:\n    loftq_bits: 4\n"
    reading = read_back(Axolotl(), text).reading
    assert reading.arguments["init_lora_weights"] == "loftq"
    assert "modules_to_save" not in reading.arguments
    assert "init_lora_weights" not in read_back(Axolotl(), text.partition("peft:")[0]).reading.arguments


@pytest.mark.parametrize("source", ["type:mamba", "type:falcon_h1"])
def test_what_kernels_read_past_peft_is_left_out(source: str) -> None:
    model, _ = surveyed(source)
    for paths in (
        reached(chosen(MsSwift(), YamlDocument, SWIFT, source), model)[0],
        reached(chosen(Unsloth(), PythonDocument, "FastModel.get_peft_model(model)", source), model)[0],
    ):
        assert paths
        assert not any(path.endswith("out_proj") for path in paths)
    listed = chosen(MsSwift(), YamlDocument, f"{SWIFT}target_modules: [in_proj, out_proj]\n", source)
    assert listed["target_modules"] == ["in_proj"]
    written = MsSwift().choose(read_back(MsSwift(), f"{SWIFT}target_regex: .*out_proj\n").reading, surveyed(source)[1])
    assert written["target_modules"] == ".*out_proj"


def test_unsloth_leaves_them_out_of_a_part_only() -> None:
    model, _ = surveyed("type:nemotron_h_omni")
    paths, _ = reached(
        chosen(Unsloth(), PythonDocument, "FastModel.get_peft_model(model)", "type:nemotron_h_omni"), model
    )
    assert any(".mixer.in_proj" in path for path in paths)
    assert not any(".mixer.out_proj" in path for path in paths)


@pytest.mark.parametrize(
    ("source", "targets", "expected"),
    [
        ("type:llama", "all-linear", ["k_proj", "o_proj", "q_proj", "v_proj"]),
        ("Qwen/Qwen3-0.6B", "all-linear", ["k_proj", "v_proj"]),
        ("Qwen/Qwen3-0.6B", "[q_proj, gate_proj, v_proj]", ["v_proj"]),
        ("Qwen/Qwen3-0.6B", "[q_proj]", ["q_proj"]),
    ],
)
def test_ms_swift_has_vera_for_one_shape(source: str, targets: str, expected: list[str]) -> None:
    text = f"model: m\ntuner_type: vera\ntarget_modules: {targets}\n"
    assert chosen(MsSwift(), YamlDocument, text, source)["target_modules"] == expected


def test_ms_swift_has_no_vera_without_a_v() -> None:
    text = "model: m\ntuner_type: vera\ntarget_modules: [q_proj, k_proj]\n"
    with pytest.raises(PlanError, match="no name holds a v"):
        chosen(MsSwift(), YamlDocument, text, "Qwen/Qwen3-0.6B")


@pytest.mark.parametrize(
    ("dialect", "text", "says"),
    [
        (MsSwift(), f"{SWIFT}use_swift_lora: true\n", "LoRA layers of its own"),
        (MsSwift(), f"{SWIFT}tuner_backend: unsloth\n", "unsloth puts the adapters in"),
        (LlamaFactory(), "model_name_or_path: m\nfinetuning_type: lora\nuse_unsloth: true\n", "unsloth puts"),
    ],
)
def test_another_hand_that_adapts_is_told(dialect: MsSwift | LlamaFactory, text: str, says: str) -> None:
    assert [note.line for note in read_back(dialect, text).reading.notes if says in note.text] == [3]


CONFIG = """\
model: org/model
data:
  dataset: x
lora:
  lora_r: 8
  target_modules: "q_proj, v_proj"
  lora_alfa: 3
  learning_rate: 1
training:
  training_type: LoRA
target_modules: x
"""


def test_the_config_file_of_unsloth(tmp_path: Path) -> None:
    file = tmp_path / "un.yml"
    file.write_text(CONFIG)
    plan = read_plan_file(file)
    assert plan.base_model == "org/model"
    assert plan.reading.arguments == {
        "target_modules": ["q_proj", "v_proj"],
        "lora_alpha": 16,
        "task_type": "CAUSAL_LM",
    }
    assert [(remark.line, remark.text.partition("no key ")[2]) for remark in plan.reading.unknown] == [
        (7, "lora_alfa in lora; did you mean lora.lora_alpha?"),
        (8, "learning_rate in lora; did you mean training.learning_rate?"),
        (11, "target_modules; did you mean lora.target_modules?"),
    ]
    assert plan.line(["target_modules"]).line == 4
    assert plan.edits({}, {"r": 4}) == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"model": "m", "lora": {\n "lora_r": "x"}}', ':2: lora_r must be a whole number, not "x"'),
        ('{"model": "m", "lora": {\n "target_modules": ["q_proj"]}}', ":2: target_modules must be a text"),
        ('{"training": {\n "training_type": "full"}}', ":2: training_type is full"),
    ],
)
def test_a_config_file_that_unsloth_refuses(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "un.json"
    file.write_text(text)
    with pytest.raises(PlanError) as error:
        read_plan_file(file)
    assert says in str(error.value)


def recipe(dialect: LlamaFactory | MsSwift, targets: Any, source: str) -> list[set[str]]:
    """What each shorthand for ``targets`` reaches."""
    model, blueprint = surveyed(source)
    plans = [read_back(dialect, text) for text in dialect.shorthands({"target_modules": targets}, "m")]
    return [reached(dict(plan.plan(blueprint).lora), model)[0] for plan in plans]


def test_names_of_single_layers_have_shorthands() -> None:
    source = "google/gemma-3-4b-it"
    blueprint = surveyed(source)[1]
    text = {site.path for site in blueprint.projections}
    seen = {site.path for site in blueprint.sites if "vision_tower" in site.path and site.type.name == "Linear"}
    assert recipe(LlamaFactory(), sorted(text), source)[0] == text
    assert seen in recipe(LlamaFactory(), sorted(seen), source)
    assert recipe(MsSwift(), ".*", source)[0] == text
    for plain in (["q_proj"], "all-linear"):
        assert recipe(LlamaFactory(), plain, source) == recipe(MsSwift(), plain, source) == []


def test_llama_factory_knows_its_composites_by_type() -> None:
    """``all`` reaches the towers of a model that the tool has no parts of."""
    text = "model_name_or_path: m\nfinetuning_type: lora\n"
    for source, adapts_towers in (("type:gemma3", False), ("type:idefics3", True)):
        paths, _ = reached(chosen(LlamaFactory(), YamlDocument, text, source), surveyed(source)[0])
        assert any("vision" in path for path in paths) is adapts_towers
