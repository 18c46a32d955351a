"""TRL's own parser and its own LoraConfig, for what we write and for what we read."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from peft import LoraConfig

from archlint.plans.dialects.flat import facts
from archlint.plans.dialects.trl import Trl
from archlint.plans.documents.command_document import CommandDocument
from archlint.plans.documents.python_document import PythonDocument
from archlint.plans.documents.yaml_document import YamlDocument

trl = pytest.importorskip("trl")


def config_by_trl(arguments: list[str]) -> LoraConfig:
    from trl import ModelConfig, TrlParser, get_peft_config

    (model,) = TrlParser(ModelConfig).parse_args_and_config(arguments)
    config = get_peft_config(model)
    assert isinstance(config, LoraConfig)
    return config


def agree(config: LoraConfig, arguments: dict[str, Any]) -> None:
    for name, value in arguments.items():
        found = getattr(config, name)
        assert (sorted(found) if isinstance(found, set) else found) == (
            sorted(value) if isinstance(found, set) else value
        ), name


@pytest.mark.parametrize(
    "arguments",
    [
        {"target_modules": ["q_proj", "v_proj"], "r": 8, "lora_alpha": 16},
        {"target_modules": r".*language_model.*\.(q|v)_proj", "r": 8, "lora_dropout": 0.0, "use_dora": True},
        {"target_modules": "all-linear", "modules_to_save": ["lm_head", "embed_tokens"], "task_type": "SEQ_CLS"},
        {"target_modules": ["q_proj", "o_proj"], "target_parameters": ["mlp.experts.down_proj"], "use_rslora": True},
    ],
    ids=["names", "expression", "all", "parameters"],
)
def test_trl_makes_of_a_fragment_what_went_into_it(arguments: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "sft.yaml"
    file.write_text(Trl().fragment(arguments, "owner/model"))
    agree(config_by_trl(["--config", str(file)]), arguments)


@pytest.mark.parametrize(
    "text",
    [
        "use_peft: true\n",
        "use_peft: true\nlora_target_modules: [q_proj]\n",
        "use_peft: true\nlora_target_modules: q_proj\n",
        "use_peft: true\nlora_target_modules: [q_proj, k_proj]\nlora_r: 32\nlora_dropout: 0\n",
        "use_peft: true\nlora_target_modules: [all-linear]\nlora_target_parameters: [a.b]\nuse_dora: true\n",
    ],
)
def test_a_file_is_read_as_trl_reads_it(text: str, tmp_path: Path) -> None:
    file = tmp_path / "sft.yaml"
    file.write_text(text)
    document = YamlDocument(file, text)
    reading = Trl().read(document, document.sections[0])
    config = config_by_trl(["--config", str(file)])
    agree(config, dict(reading.arguments))
    plain = LoraConfig()
    others = {"r", "lora_alpha", "lora_dropout", "target_modules", "target_parameters", "use_dora", "use_rslora"}
    agree(config, {name: getattr(plain, name) for name in others - reading.arguments.keys()})


@pytest.mark.parametrize(
    "words",
    [
        "--use_peft --lora_target_modules q_proj v_proj --lora_r 4",
        "--use_peft true --lora_target_modules q_proj --lora_dropout 0.1",
        "--use_peft --lora_target_parameters experts.down_proj --lora_modules_to_save lm_head",
        "--use_peft yes --use_dora --lora_task_type SEQ_CLS",
    ],
)
def test_a_command_is_read_as_trl_reads_it(words: str) -> None:
    document = CommandDocument(Path("run.sh"), f"trl sft {words}")
    ((signs, section),) = Trl().claims(document)
    assert signs > 1
    agree(config_by_trl(words.split()), dict(Trl().read(document, section).arguments))


def test_a_single_name_becomes_an_expression_and_that_is_told() -> None:
    document = YamlDocument(Path("f"), "use_peft: true\nlora_target_modules: [q_proj]\n")
    reading = Trl().read(document, document.sections[0])
    assert [(note.line, "regular expression" in note.text) for note in reading.notes] == [(2, True)]


def test_a_call_in_a_script_is_found() -> None:
    text = "args = ModelConfig(model_name_or_path='m', use_peft=True, lora_target_modules=['q_proj', 'v_proj'])\n"
    document = PythonDocument(Path("f.py"), text)
    ((_, section),) = Trl().claims(document)
    assert Trl().read(document, section).arguments["target_modules"] == ["q_proj", "v_proj"]


def test_the_table_of_scripts_is_that_of_their_dataclasses() -> None:
    if trl.__version__ != facts("trl")["version"]:
        pytest.skip("the table is of another version")
    from trl.scripts import grpo, rloo

    own = {"grpo": grpo.GRPOScriptArguments, "rloo": rloo.RLOOScriptArguments}
    configs = {"sft": "SFT", "dpo": "DPO", "kto": "KTO", "reward": "Reward", "grpo": "GRPO", "rloo": "RLOO"}
    fields = {
        name: {
            field.name
            for part in (getattr(trl, f"{config}Config"), own.get(name, trl.ScriptArguments))
            for field in dataclasses.fields(part)
        }
        for name, config in configs.items()
    }
    shared = set.intersection(*fields.values())
    assert {name: set(keys) for name, keys in facts("trl")["scripts"].items()} == {
        name: keys - shared for name, keys in fields.items()
    }
