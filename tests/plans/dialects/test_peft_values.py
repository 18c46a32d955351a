"""A value that PEFT has no use for is told with its line, and what PEFT takes is taken."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

from archlint.plans import PlanError, peft_configs, read_plan_file

LORA = {"peft_type": "LORA", "target_modules": ["q_proj"]}


def written(folder: Path, settings: dict[str, Any] | str) -> Path:
    file = folder / "adapter_config.json"
    file.write_text(settings if isinstance(settings, str) else json.dumps(settings, indent=1))
    return file


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("r", "eight", 'r must be a whole number, not "eight"'),
        ("r", True, "r must be a whole number, not true"),
        ("r", 8.5, "r must be a whole number, not 8.5"),
        ("r", [8], "r must be a whole number, not [8]"),
        ("lora_alpha", [1], "lora_alpha must be a number, not [1]"),
        ("lora_alpha", "16", 'lora_alpha must be a number, not "16"'),
        ("lora_dropout", "0.1", 'lora_dropout must be a number, not "0.1"'),
        ("use_dora", "false", 'use_dora must be true or false, not "false"'),
        ("rank_pattern", 5, "rank_pattern must be a mapping, not 5"),
        ("alpha_pattern", ["q_proj"], 'alpha_pattern must be a mapping, not ["q_proj"]'),
        ("layers_to_transform", "all", "layers_to_transform must be a whole number or a list of whole numbers"),
        ("layers_to_transform", [0, 1, "x"], 'must be a whole number or a list of whole numbers, not [0, 1, "x"]'),
        ("layers_pattern", 3, "layers_pattern must be a string or a list of strings, not 3"),
        ("bias", 1, "bias must be a string, not 1"),
        ("init_lora_weights", ["pissa"], 'init_lora_weights must be true or false or a string, not ["pissa"]'),
        ("layer_replication", [0, 4], "layer_replication must be a list of lists, not [0, 4]"),
        ("trainable_token_indices", 3, "trainable_token_indices must be a mapping or a list of whole numbers, not 3"),
    ],
)
def test_a_wrongly_typed_value(tmp_path: Path, key: str, value: object, says: str) -> None:
    with pytest.raises(PlanError) as error:
        read_plan_file(written(tmp_path, {**LORA, key: value}))
    assert says in str(error.value)
    assert "adapter_config.json:6: " in str(error.value)


def test_a_number_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="r must be a whole number, not Infinity"):
        read_plan_file(written(tmp_path, '{"peft_type": "LORA", "r": 1e400}'))


@pytest.mark.parametrize(
    "settings",
    [
        {"r": None, "lora_alpha": None, "fan_in_fan_out": None, "rank_pattern": None, "layers_to_transform": None},
        {"lora_dropout": 0, "lora_alpha": 0.5, "r": 8.0},
        {"layers_pattern": "", "rank_pattern": {}, "megatron_config": None, "megatron_core": "megatron.core"},
        {"layers_pattern": ["layers"], "layers_to_transform": 3},
        {"target_modules": r".*\.q_proj", "exclude_modules": None, "bias": "lora_only"},
        {"init_lora_weights": "pissa_niter_16", "loftq_config": {}, "eva_config": None, "use_bdlora": {"a": 1}},
        {"init_lora_weights": "of_a_later_version", "task_type": "CAUSAL_LM"},
        {"layer_replication": [[0, 4], [2, 5]], "trainable_token_indices": {"embed_tokens": [1, 2]}},
        {"enable_lora": None, "merge_weights": False},
        {"peft_type": "LOHA", "alpha": 8, "init_weights": True, "module_dropout": 0},
        {"peft_type": "MISS", "layers_pattern": ["layers"]},
        {"peft_type": "ADALORA", "target_r": 8, "total_step": None, "rank_pattern": None},
    ],
)
def test_what_has_been_published_is_read(tmp_path: Path, settings: dict[str, Any]) -> None:
    read_plan_file(written(tmp_path, {**LORA, **settings}))


def test_the_defaults_of_every_tuner_are_read(tmp_path: Path) -> None:
    for tuner, cls in PEFT_TYPE_TO_CONFIG_MAPPING.items():
        if peft_configs.config_class(tuner.value).places_by_module:
            defaults = {field.name: field.default for field in dataclasses.fields(cls)}
            plain = {k: v for k, v in defaults.items() if v is None or isinstance(v, (bool, int, float, str))}
            file = written(tmp_path, {**plain, "peft_type": tuner.value})
            assert read_plan_file(file).reading.unknown == (), tuner


def test_a_call_is_checked_too(tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text(
        'from peft import LoraConfig\n\nconfig = LoraConfig(\n    r="eight",\n    target_modules=["q_proj"],\n)\n'
    )
    with pytest.raises(PlanError, match=r'train\.py:4: r must be a whole number, not "eight"'):
        read_plan_file(file)
    file.write_text(
        "from peft import LoraConfig\n\nLoraConfig(r=rank, layers_to_transform=(0, 1), lora_alpha=2 * rank)\n"
    )
    assert read_plan_file(file).reading.arguments == {"layers_to_transform": [0, 1]}


def test_stray_keys_are_named_and_not_judged(tmp_path: Path) -> None:
    plan = read_plan_file(written(tmp_path, {**LORA, "torch_dtype": 3, "lora_r": "eight"}))
    assert [remark.text for remark in plan.reading.unknown] == [
        "the installed PEFT does not know torch_dtype, and ignores it",
        "the installed PEFT does not know lora_r, and ignores it",
    ]


@pytest.mark.parametrize("key", ["r", "lora_alpha", "lora_dropout", "layers_to_transform", "megatron_core"])
def test_a_number_beyond_all_floats_is_none(tmp_path: Path, key: str) -> None:
    with pytest.raises(PlanError, match="an integer of 401 digits is no number of any setting"):
        read_plan_file(written(tmp_path, {**LORA, key: 10**400}))
    script = tmp_path / "train.py"
    script.write_text(f"LoraConfig(target_modules=['q_proj'], {key}={10**400}, lora_bias=0x{'f' * 6000})")
    if key == "layers_to_transform":
        with pytest.raises(PlanError, match="layers_to_transform is computed"):
            read_plan_file(script)
    else:
        remarks = list(read_plan_file(script).remarks())
        assert f"{script}:1: {key} is computed" in remarks
