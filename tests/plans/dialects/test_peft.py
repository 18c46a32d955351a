"""What PEFT writes, and what people write for it, is read as PEFT would read it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from archlint.plans import PlanError, read_plan_file


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
    config = read_plan_file(saved(tmp_path, **settings))
    assert config.base_model == settings.pop("base_model_name_or_path")
    assert config.reading.arguments == settings
    assert config.reading.unknown == ()


def test_defaults_are_left_out(tmp_path: Path) -> None:
    assert read_plan_file(saved(tmp_path)).reading.arguments == {}


def test_the_folder_of_an_adapter_will_do(tmp_path: Path) -> None:
    saved(tmp_path, r=2)
    assert read_plan_file(tmp_path).reading.arguments == {"r": 2}


def test_peft_would_build_the_same(tmp_path: Path) -> None:
    from peft import LoraConfig

    file = saved(tmp_path, r=4, use_rslora=True, target_modules=["b", "a"], lora_dropout=0.1)
    own, theirs = LoraConfig(**read_plan_file(file).reading.arguments), LoraConfig.from_pretrained(tmp_path)
    ignored = {"inference_mode", "peft_version"}
    assert {k: v for k, v in own.to_dict().items() if k not in ignored} == {
        k: v for k, v in theirs.to_dict().items() if k not in ignored
    }


def test_unknown_keys_are_named(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(json.dumps({"r": 4, "peft_type": "LORA", "auto_mapping": None, "one": 1, "two": None}))
    config = read_plan_file(file)
    assert config.reading.arguments == {"r": 4}
    assert [remark.text.partition(",")[0] for remark in config.reading.unknown] == [
        "the installed PEFT does not know one",
        "the installed PEFT does not know two",
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe{\0}\0", "text in UTF-16, not in UTF-8"),
        (b"\xfe\xf0", "not text in UTF-8"),
        (b'{"lora_alpha": NaN}', "NaN is no JSON number"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[]", "a JSON object is expected, not list"),
        (b'{"peft_type": "NONE"}', "has no peft_type 'NONE'"),
        (b'{"peft_type": "PREFIX_TUNING"}', "PREFIX_TUNING places no adapters by module"),
        (b'{"peft_type": 3}', "peft_type must be a text, not 3"),
        (b'{"r": 1, "r": 2}', 'the key "r" is there twice'),
        (b"{}", "no adapter settings"),
        (b'{"learning_rate": 0.1}', "no adapter settings"),
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
        read_plan_file(file)
    assert says in str(error.value)
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_folder_without_a_config(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="no such file"):
        read_plan_file(tmp_path)


def test_another_tuner_has_arguments_of_its_own(tmp_path: Path) -> None:
    from peft import IA3Config, LoHaConfig

    LoHaConfig(r=4, alpha=2, target_modules=["q_proj"], module_dropout=0.5).save_pretrained(tmp_path)
    reading = read_plan_file(tmp_path).reading
    assert reading.tuner == "LOHA"
    assert reading.arguments == {"r": 4, "alpha": 2, "target_modules": ["q_proj"], "module_dropout": 0.5}
    IA3Config(target_modules=["k"], feedforward_modules=[]).save_pretrained(tmp_path)
    assert read_plan_file(tmp_path).reading.tuner == "IA3"
    assert read_plan_file(tmp_path).reading.unknown == ()


SCRIPT = """\
from peft import LoraConfig, get_peft_model

NAMES = ["q_proj", "v_proj"]
model = AutoModelForCausalLM.from_pretrained("org/model", torch_dtype="auto")
tokenizer = AutoTokenizer.from_pretrained("org/other")
config = LoraConfig(
    r=args.rank,
    target_modules=NAMES,
    task_type=TaskType.CAUSAL_LM,
    rank_patern={"q": 2},
)
"""


def test_a_call_in_a_script(tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text(SCRIPT)
    plan = read_plan_file(file)
    assert plan.reading.arguments == {"target_modules": ["q_proj", "v_proj"], "task_type": "CAUSAL_LM"}
    assert plan.base_model == "org/model"
    assert next(plan.remarks()) == f"{file}:6: read as PEFT settings in Python (LoraConfig)"
    assert [(remark.line, remark.text) for remark in plan.reading.unknown] == [
        (7, "r is computed"),
        (10, "the installed PEFT does not know rank_patern, and ignores it; did you mean rank_pattern?"),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("LoraConfig(target_modules=find(model))", ":1: target_modules is computed"),
        ("LoraConfig(**settings)", ":1: ** is computed"),
        ("a = LoraConfig(r=1)\nb = LoraConfig(r=2)", "several adapters are set up in it, in lines 1, 2"),
        ("print(1)", "no adapter settings"),
        ("def f(:\n", "not Python"),
    ],
)
def test_a_script_that_cannot_be_checked(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "train.py"
    file.write_text(text)
    with pytest.raises(PlanError) as error:
        read_plan_file(file)
    assert says in str(error.value)
