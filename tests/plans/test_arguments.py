"""The user's plan: as PEFT would take it."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from archlint.plans import PlanError, read_adapter_config, targets
from archlint.plans import arguments as plans


@pytest.mark.parametrize(
    ("values", "meant"),
    [
        (["q_proj"], ["q_proj"]),
        (["q_proj,v_proj"], ["q_proj", "v_proj"]),
        (["q_proj, v_proj", "o_proj"], ["q_proj", "v_proj", "o_proj"]),
        (["q_proj,,q_proj"], ["q_proj"]),
        (["self_attn.q_proj"], ["self_attn.q_proj"]),
        (["all-linear"], "all-linear"),
        (["All-Linear"], "All-Linear"),
        ([r"model\.layers"], r"model\.layers"),
        ([".*q_proj"], ".*q_proj"),
        (["(q|v)_proj"], "(q|v)_proj"),
        ([r"layers.[0-9]{1,2}.q"], r"layers.[0-9]{1,2}.q"),
    ],
)
def test_what_targets_mean(values: list[str], meant: object) -> None:
    assert targets(values) == meant


@pytest.mark.parametrize("values", [[""], [" , "], ["all-linear", "q"], ["q", ".*"], ["q,all-linear"], [".*q", ".*v"]])
def test_what_targets_cannot_mean(values: list[str]) -> None:
    with pytest.raises(PlanError):
        targets(values)


def saved(folder: Path, **settings: object) -> Path:
    """The file that the installed PEFT writes for a LoraConfig."""
    from peft import LoraConfig

    LoraConfig(**settings).save_pretrained(folder)
    return folder / "adapter_config.json"


def test_what_peft_saves_is_read_back(tmp_path: Path) -> None:
    settings = {
        "r": 16,
        "lora_alpha": 32,
        "target_modules": r".*\.q_proj",
        "target_parameters": ["experts.down_proj"],
        "exclude_modules": ["lm_head"],
        "modules_to_save": ["score"],
        "task_type": "CAUSAL_LM",
        "rank_pattern": {"q_proj": 4},
        "base_model_name_or_path": "some/model",
    }
    config = read_adapter_config(saved(tmp_path, **settings))
    assert config.base_model == settings.pop("base_model_name_or_path")
    assert config.lora == settings
    assert config.unknown == ()


def test_defaults_are_left_out(tmp_path: Path) -> None:
    assert read_adapter_config(saved(tmp_path)) == plans.AdapterConfig()


def test_the_folder_of_an_adapter_will_do(tmp_path: Path) -> None:
    saved(tmp_path, r=2)
    assert read_adapter_config(tmp_path).lora == {"r": 2}


def test_peft_would_build_the_same(tmp_path: Path) -> None:
    from peft import LoraConfig

    file = saved(tmp_path, r=4, use_rslora=True, target_modules=["b", "a"], lora_dropout=0.1)
    own, theirs = LoraConfig(**read_adapter_config(file).lora), LoraConfig.from_pretrained(tmp_path)
    ignored = {"inference_mode", "peft_version"}
    assert {k: v for k, v in own.to_dict().items() if k not in ignored} == {
        k: v for k, v in theirs.to_dict().items() if k not in ignored
    }


def test_all_that_lora_config_takes_is_known() -> None:
    from peft import LoraConfig

    arguments, bookkeeping = plans._arguments()
    assert {field.name for field in dataclasses.fields(LoraConfig)} == {*arguments} | bookkeeping
    defaults = LoraConfig()
    for name, default in arguments.items():
        if name != "runtime_config":  # an object, which is never saved
            assert getattr(defaults, name) == default, name


def test_peft_is_not_imported() -> None:
    code = "import sys; from archlint.plans.arguments import _arguments; _arguments(); print('peft' in sys.modules)"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_unknown_keys_are_named(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(json.dumps({"r": 4, "peft_type": "LORA", "auto_mapping": None, "one": 1, "two": None}))
    config = read_adapter_config(file)
    assert config.lora == {"r": 4}
    assert config.unknown == ("one", "two")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b'{"lora_alpha": NaN}', "NaN is no JSON number"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "a JSON object is expected, not list"),
        (b'{"peft_type": "LOHA"}', "peft_type is 'LOHA'; only LORA can be checked"),
        (b'{"peft_type": 3}', "peft_type is 3"),
        (b"{}", "neither peft_type nor an argument of LoraConfig"),
        (b'{"learning_rate": 0.1}', "neither peft_type nor an argument of LoraConfig"),
        (b'{"model_type": "llama", "hidden_size": 32}', "looks like the config.json of a model (model_type llama)"),
        (b'{"model_type": "falcon", "bias": false}', "looks like the config.json of a model"),
        (b'{"architectures": ["Net"], "hidden_size": 32}', "looks like the config.json of a model"),
        (b'{"target_modules": {"a": 1}}', "target_modules must be a string or a list of strings"),
        (b'{"target_modules": ["a", 1]}', "target_modules must be"),
        (b'{"target_parameters": "a"}', "target_parameters must be a list of strings"),
        (b'{"modules_to_save": "lm_head"}', "modules_to_save must be a list of strings"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "adapter_config.json"
    file.write_bytes(content)
    with pytest.raises(PlanError) as error:
        read_adapter_config(file)
    assert says in str(error.value)
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_folder_without_a_config(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="No such file"):
        read_adapter_config(tmp_path)
