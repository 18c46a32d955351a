"""With whom a file trains, what the trainer is given there, and changes to that which leave the rest alone."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archlint.core.training import Trainer
from archlint.plans import PlanError, PlanFile, dialect, read_plan_file
from archlint.plans.dialects.axolotl import Axolotl
from archlint.plans.dialects.flat import FlatDialect
from archlint.plans.dialects.llama_factory import LlamaFactory
from archlint.plans.dialects.ms_swift import MsSwift
from archlint.plans.dialects.peft import Peft
from archlint.plans.dialects.reading import TRAINER_ARGUMENTS
from archlint.plans.dialects.trl import Trl
from archlint.plans.documents.python_document import PythonDocument
from archlint.plans.written import read_back

AXOLOTL = """\
base_model: org/model
adapter: lora
lora_r: 8
lora_alpha: 16
lora_target_linear: true  # all of them
gradient_accumulation_steps: 4
gradient_checkpointing: true  # saves memory
weight_decay: 0.01
"""
LLAMA = """\
model_name_or_path: org/model
stage: sft
finetuning_type: lora
lora_target: all
gradient_checkpointing: true
gradient_accumulation_steps: 8
"""
TRL = """\
model_name_or_path: org/model
use_peft: true
lora_target_modules: all-linear
# memory
gradient_checkpointing: true
learning_rate: 2.0e-4
"""
COMMAND = """\
#!/bin/bash
trl sft \\
    --model_name_or_path org/model \\
    --use_peft \\
    --lora_target_modules q_proj v_proj \\
    --gradient_checkpointing \\
    --gradient_accumulation_steps 8 \\
    --output_dir out > log
"""
SCRIPT = """\
from peft import LoraConfig
from trl import SFTConfig, SFTTrainer

peft_config = LoraConfig(r=8, target_modules="all-linear")
args = SFTConfig(
    output_dir="out",
    gradient_accumulation_steps=4,
    gradient_checkpointing=True,  # saves memory
)
trainer = SFTTrainer(model="org/model", args=args, peft_config=peft_config)
"""
SWIFT = "model: org/model\ntuner_type: lora\ngradient_checkpointing: true\ngradient_accumulation_steps: 8\n"
UNSLOTH = """\
from unsloth import FastModel
from trl import SFTConfig, SFTTrainer

model, tokenizer = FastModel.from_pretrained("org/model")
model = FastModel.get_peft_model(model, use_gradient_checkpointing="unsloth", random_state=1)
trainer = SFTTrainer(model=model, args=SFTConfig(gradient_accumulation_steps=4))
"""


def opened(folder: Path, name: str, text: str) -> PlanFile:
    file = folder / name
    file.write_text(text)
    return read_plan_file(file)


def changed_lines(before: PlanFile, after: PlanFile) -> list[str]:
    lines = difflib.ndiff(before.text.splitlines(), after.text.splitlines())
    return [line for line in lines if line[0] in "+-"]


@pytest.mark.parametrize(
    ("name", "text", "trainers", "arguments"),
    [
        (
            "axolotl.yml",
            AXOLOTL,
            (Trainer.TRANSFORMERS,),
            {"gradient_checkpointing": True, "gradient_accumulation_steps": 4, "weight_decay": 0.01},
        ),
        (
            "llama.yml",
            LLAMA,
            (Trainer.TRANSFORMERS,),
            {"gradient_checkpointing": True, "gradient_accumulation_steps": 8},
        ),
        ("trl.yml", TRL, (Trainer.SFT,), {"gradient_checkpointing": True}),
        ("run.sh", COMMAND, (Trainer.SFT,), {"gradient_checkpointing": True, "gradient_accumulation_steps": 8}),
        ("train.py", SCRIPT, (Trainer.SFT,), {"gradient_checkpointing": True, "gradient_accumulation_steps": 4}),
        ("swift.yml", SWIFT, (), {}),
        ("unsloth.py", UNSLOTH, (), {}),
        ("unsloth.sh", "unsloth train --model m --gradient-accumulation-steps 2\n", (), {}),
        ("unsloth.yml", "model: m\nlora:\n  lora_r: 8\ntraining:\n  weight_decay: 0.1\n", (), {}),
        ("adapter_config.json", '{"peft_type": "LORA", "r": 8}', None, {}),
        ("peft.py", "from peft import LoraConfig\nconfig = LoraConfig(r=8)\n", None, {}),
    ],
)
def test_what_a_file_says_of_its_trainer(
    tmp_path: Path, name: str, text: str, trainers: Any, arguments: dict[str, Any]
) -> None:
    file = opened(tmp_path, name, text)
    assert (file.trainers, file.trainer_arguments) == (trainers, arguments)


@pytest.mark.parametrize(
    ("more", "trainers"),
    [
        ("rl: dpo", ()),
        ("rl: ipo", ()),
        ("rl: grpo", ()),
        ("rl: kto", ()),
        ("rl: orpo", ()),
        ("rl: simpo", ()),
        ("rl:", (Trainer.TRANSFORMERS,)),
        ("reward_model: true", (Trainer.REWARD,)),
        ("process_reward_model: true", ()),
        ("trainer_cls: my.module.MyTrainer", ()),
    ],
)
def test_axolotl_has_trainers_of_trl(more: str, trainers: tuple[Trainer, ...]) -> None:
    assert read_back(Axolotl(), f"{AXOLOTL}{more}\n").trainers == trainers


@pytest.mark.parametrize(
    ("value", "on"), [("true", True), ("false", False), ("offload", True), ("offload_disk", True), ("'false'", False)]
)
def test_axolotl_turns_checkpointing_on_by_several_words(value: str, on: bool) -> None:
    file = read_back(Axolotl(), AXOLOTL.replace("true  # saves memory", value))
    assert file.trainer_arguments["gradient_checkpointing"] is on


def test_axolotl_does_not_checkpoint_unasked_with_trl_either() -> None:
    text = AXOLOTL.replace("gradient_checkpointing: true  # saves memory\n", "rl: dpo\n")
    file = read_back(Axolotl(), text)
    assert file.trainer_arguments["gradient_checkpointing"] is False
    assert file.training_edits({"gradient_checkpointing": False}) == ()
    assert file.training_changed({"gradient_checkpointing": False}).text == text


@pytest.mark.parametrize("stage", ["rm", "ppo", "dpo", "kto"])
def test_llama_factory_has_losses_of_its_own(stage: str) -> None:
    assert read_back(LlamaFactory(), LLAMA.replace("sft", stage)).trainers == ()
    assert read_back(LlamaFactory(), LLAMA.replace("sft", "pt")).trainers == (Trainer.TRANSFORMERS,)
    assert read_back(LlamaFactory(), f"{LLAMA}use_unsloth: true\n").trainers == ()


def test_llama_factory_checkpoints_past_the_trainer() -> None:
    text = LLAMA.replace("gradient_checkpointing: true\n", "disable_gradient_checkpointing: false\n")
    assert "gradient_checkpointing" not in read_back(LlamaFactory(), text).trainer_arguments


@pytest.mark.parametrize(
    ("name", "text", "trainers"),
    [
        *[("run.sh", f"trl {it.value[4:]} --use_peft --lora_r 8", (it,)) for it in Trainer if it.is_trl],
        ("run.sh", "trl rloo --use_peft --lora_r 8", ()),
        ("run.sh", "accelerate launch examples/scripts/dpo_vlm.py --use_peft --lora_r 8", (Trainer.DPO,)),
        ("run.sh", "python examples/scripts/dpo_online.py --use_peft --lora_r 8", ()),
        ("run.sh", "python trl/scripts/reward.py --use_peft --lora_r 8", (Trainer.REWARD,)),
        ("run.sh", "accelerate launch train.py --use_peft --desirable_weight 2", (Trainer.KTO,)),
        ("trl.yml", f"{TRL}packing: true\n", (Trainer.SFT,)),
        ("trl.yml", f"{TRL}ld_alpha: 0.5\n", (Trainer.DPO,)),
        ("trl.yml", f"{TRL}num_generations: 8\nbeta: 0.0\nloss_type: dapo\n", (Trainer.GRPO,)),
        ("trl.yml", f"{TRL}center_rewards_coefficient: 0.01\n", (Trainer.REWARD,)),
        ("trl.yml", f"{TRL}normalize_advantages: true\n", ()),
        ("trl.yml", f"{TRL}beta: 0.1\n", (Trainer.DPO, Trainer.KTO, Trainer.GRPO)),
        ("trl.yml", f"{TRL}ld_alpha: 0.5\npacking: true\n", (Trainer.SFT,)),
    ],
)
def test_which_of_trls_trainers_it_is(tmp_path: Path, name: str, text: str, trainers: tuple[Trainer, ...]) -> None:
    assert opened(tmp_path, name, text).trainers == trainers


def test_an_option_of_trl_that_is_denied(tmp_path: Path) -> None:
    file = opened(tmp_path, "run.sh", COMMAND.replace("--gradient_checkpointing", "--no_gradient_checkpointing"))
    assert file.trainer_arguments["gradient_checkpointing"] is False
    assert file.reading.unknown == ()
    assert file.training_edits({"gradient_checkpointing": False}) == ()


@pytest.mark.parametrize(
    ("calls", "trainers", "arguments"),
    [
        ("DPOConfig(weight_decay=0.1)", (Trainer.DPO,), {"weight_decay": 0.1}),
        ("trl.GRPOConfig(router_aux_loss_coef=0.0)", (Trainer.GRPO,), {"router_aux_loss_coef": 0.0}),
        ("Trainer(model, args=TrainingArguments('out'))", (Trainer.TRANSFORMERS,), {}),
        ("Seq2SeqTrainingArguments('out', gradient_checkpointing=True)", (Trainer.TRANSFORMERS,), True),
        ("SFTTrainer(args=TrainingArguments('out'))", (Trainer.SFT,), False),
        ("SFTTrainer(args=TrainingArguments('out', gradient_checkpointing=True))", (Trainer.SFT,), True),
        ("KTOTrainer(args=config)", (Trainer.KTO,), {}),
        ("SFTTrainer(args=SFTConfig(weight_decay=1)); DPOTrainer(args=DPOConfig())", (Trainer.SFT, Trainer.DPO), {}),
        ("ORPOTrainer(args=ORPOConfig(weight_decay=0.1))", (), {}),
        ("MyTrainer(args=TrainingArguments(weight_decay=0.5))", (Trainer.TRANSFORMERS,), {"weight_decay": 0.5}),
        ("FastModel.from_pretrained('m'); SFTTrainer(args=SFTConfig(weight_decay=1))", (), {}),
    ],
)
@pytest.mark.parametrize("adapter", ["LoraConfig(r=8)", "ModelConfig(use_peft=True, lora_r=8)"])
def test_trainers_that_a_script_calls(
    tmp_path: Path, adapter: str, calls: str, trainers: tuple[Trainer, ...], arguments: Any
) -> None:
    file = opened(tmp_path, "train.py", f"config = {adapter}\n{calls}\n")
    if isinstance(arguments, bool):
        arguments = {"gradient_checkpointing": arguments}
    assert (file.trainers, file.trainer_arguments) == (trainers, arguments)


def test_what_a_script_computes_is_told(tmp_path: Path) -> None:
    text = SCRIPT.replace("=True,", "=not args.fast,").replace("steps=4", "steps=n")
    file = opened(tmp_path, "train.py", text)
    assert file.trainer_arguments == {}
    assert [(remark.line, remark.text) for remark in file.reading.unknown] == [
        (7, "gradient_accumulation_steps is computed"),
        (8, "gradient_checkpointing is computed"),
    ]
    assert file.training_line(["gradient_checkpointing"]).line == 8


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("train.py", SCRIPT.replace("steps=4", "steps={}")),
        ("train.yml", f"{TRL}gradient_accumulation_steps: {{}}\n"),
        ("axolotl.yml", AXOLOTL.replace("steps: 4", "steps: {}")),
        ("llama.yml", LLAMA.replace("steps: 8", "steps: {}")),
        ("run.sh", COMMAND.replace("steps 8", "steps {}")),
    ],
)
@pytest.mark.parametrize("value", ["0", "-2", "'many'"])
def test_what_no_trainer_takes_is_refused(tmp_path: Path, name: str, text: str, value: str) -> None:
    with pytest.raises(PlanError, match=rf"{name}:\d+: gradient_accumulation_steps must be .* at least 1, not"):
        opened(tmp_path, name, text.replace("{}", value))


@pytest.mark.parametrize("value", [".nan", ".inf", "-0.1"])
def test_numbers_that_no_trainer_takes_are_refused(tmp_path: Path, value: str) -> None:
    for key in ("weight_decay", "router_aux_loss_coef"):
        with pytest.raises(PlanError, match=rf"{key} must be a number of at least 0, not"):
            opened(tmp_path, "trl.yml", f"{TRL}{key}: {value}\n")


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (
            "SFTConfig('out', gradient_checkpointng=False)",
            ["SFTConfig has no argument gradient_checkpointng; did you "],
        ),
        ("TrainingArguments('out', weight_decy=0.1)", ["TrainingArguments has no argument weight_decy; did you mean"]),
        ("SFTConfig('out', pading_free=True)", ["SFTConfig has no argument pading_free; did you mean padding_free?"]),
        ("SFTConfig('out', max_length=512, packing=True, bf16=True, report_to='none', fsdp='full')", []),
        ("SFTConfig('out', dataset_num_procs=2)", ["SFTConfig has no argument dataset_num_procs; did you mean"]),
        ("SFTConfig('out', something_of_another_version=2)", []),
        ("DPOConfig('out', loss_type=['sigmoid', 'sft'], beta=0.1)", []),
        ("SFTConfig(**more)", []),
    ],
)
def test_misspelt_arguments_of_a_script_are_named(tmp_path: Path, call: str, says: list[str]) -> None:
    file = opened(tmp_path, "train.py", f"config = LoraConfig(r=8)\nargs = {call}\n")
    texts = [remark.text for remark in file.reading.unknown]
    assert len(texts) == len(says)
    assert all(text.startswith(start) for text, start in zip(texts, says, strict=True))


def test_every_argument_of_the_installed_configs_is_known(tmp_path: Path) -> None:
    trl = pytest.importorskip("trl")
    for name in ("SFTConfig", "DPOConfig", "GRPOConfig", "KTOConfig", "RewardConfig"):
        fields = (field for field, it in getattr(trl, name).__dataclass_fields__.items() if it.init)
        given = ", ".join(f"{field}=value" for field in fields if field not in TRAINER_ARGUMENTS)
        file = opened(tmp_path, "train.py", f"config = LoraConfig(r=8)\nargs = {name}({given})\n")
        assert file.reading.unknown == ()


def test_the_trainers_config_is_named_with_the_adapters(tmp_path: Path) -> None:
    says = "read as PEFT settings in Python (LoraConfig), and SFTConfig in line 5 for the trainer"
    assert next(opened(tmp_path, "train.py", SCRIPT).remarks()).endswith(says)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("run.sh", "trl rloo --use_peft --lora_r 8", "archlint does not check for TRL's RLOOTrainer"),
        ("run.sh", "python scripts/dpo_online.py --use_peft --lora_r 8", "archlint does not check for TRL's OnlineDPO"),
        ("trl.yml", f"{TRL}normalize_advantages: true\n", "archlint does not check for TRL's RLOOTrainer"),
        (
            "train.py",
            "c = LoraConfig(r=8)\nRLOOTrainer(args=RLOOConfig())\n",
            "archlint does not check for RLOOTrainer",
        ),
    ],
)
def test_a_trainer_that_is_not_checked_for_is_named(tmp_path: Path, name: str, text: str, says: str) -> None:
    file = opened(tmp_path, name, text)
    assert file.trainers == ()
    assert any(f": {says}" in remark for remark in file.remarks())


@pytest.mark.parametrize(
    ("name", "text", "changes", "edits", "lines"),
    [
        (
            "axolotl.yml",
            AXOLOTL,
            {"gradient_checkpointing": False},
            [(7, "gradient_checkpointing", "gradient_checkpointing: false")],
            ["- gradient_checkpointing: true  # saves memory", "+ gradient_checkpointing: false  # saves memory"],
        ),
        (
            "llama.yml",
            LLAMA,
            {"gradient_checkpointing": False},
            [(5, "gradient_checkpointing", "gradient_checkpointing: false")],
            ["- gradient_checkpointing: true", "+ gradient_checkpointing: false"],
        ),
        (
            "trl.yml",
            TRL,
            {"router_aux_loss_coef": 0.0},
            [(1, "router_aux_loss_coef", "router_aux_loss_coef: 0.0")],
            ["+ router_aux_loss_coef: 0.0"],
        ),
        (
            "run.sh",
            COMMAND,
            {"gradient_checkpointing": False},
            [(6, "gradient_checkpointing", "--gradient_checkpointing false")],
            ["-     --gradient_checkpointing \\", "+     --gradient_checkpointing false \\"],
        ),
        (
            "train.py",
            SCRIPT,
            {"gradient_checkpointing": False},
            [(8, "gradient_checkpointing", "gradient_checkpointing=False")],
            [
                "-     gradient_checkpointing=True,  # saves memory",
                "+     gradient_checkpointing=False,  # saves memory",
            ],
        ),
        (
            "train.py",
            SCRIPT,
            {"router_aux_loss_coef": 0.0},
            [(5, "router_aux_loss_coef", "router_aux_loss_coef=0.0")],
            ["+     router_aux_loss_coef=0.0,"],
        ),
    ],
)
def test_a_change_for_the_trainer(
    tmp_path: Path, name: str, text: str, changes: dict[str, Any], edits: list[Any], lines: list[str]
) -> None:
    file = opened(tmp_path, name, text)
    assert [(edit.line, edit.key, edit.text) for edit in file.training_edits(changes)] == edits
    after = file.training_changed(changes)
    assert after.trainer_arguments == {**file.trainer_arguments, **changes}
    assert after.reading.arguments == file.reading.arguments
    assert [line for line in changed_lines(file, after) if not line.startswith("?")] == lines


def test_a_change_for_the_trainer_and_one_of_the_adapters_do_not_meet(tmp_path: Path) -> None:
    file = opened(tmp_path, "train.py", SCRIPT)
    old = dict(file.reading.arguments)
    after = file.changed(old, {**old, "r": 4}).training_changed({"gradient_checkpointing": False})
    assert (after.reading.arguments["r"], after.trainer_arguments["gradient_checkpointing"]) == (4, False)
    assert after.text == SCRIPT.replace("r=8", "r=4").replace("checkpointing=True", "checkpointing=False")


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("axolotl.yml", AXOLOTL, "axolotl has no key for router_aux_loss_coef"),
        ("llama.yml", LLAMA, "LLaMA-Factory has no key for router_aux_loss_coef"),
        ("swift.yml", SWIFT, "ms-swift has no key for router_aux_loss_coef"),
        ("unsloth.py", UNSLOTH, "unsloth has no key for router_aux_loss_coef"),
        ("adapter_config.json", '{"peft_type": "LORA", "r": 8}', "does not stand in one place"),
        ("train.py", SCRIPT.replace("args = SFTConfig", "args = load"), "does not stand in one place"),
        ("train.py", f"{SCRIPT}other = SFTConfig()\n", "does not stand in one place"),
        ("train.py", SCRIPT.replace('output_dir="out"', "**settings"), ":6: more arguments are computed"),
        ("train.py", f"{SCRIPT}args.router_aux_loss_coef = 0.1\n", "is set outside the call"),
    ],
)
def test_a_change_that_the_file_has_no_place_for(tmp_path: Path, name: str, text: str, says: str) -> None:
    file = opened(tmp_path, name, text)
    with pytest.raises(PlanError) as error:
        file.training_changed({"router_aux_loss_coef": 0.0})
    assert says in str(error.value)


def test_a_change_that_touches_something_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = opened(tmp_path, "trl.yml", TRL)
    rewritten = type(file.document).rewritten
    monkeypatch.setattr(type(file.document), "rewritten", lambda *given: rewritten(*given).replace("# memory\n", ""))
    with pytest.raises(PlanError, match="without touching something else"):
        file.training_changed({"gradient_checkpointing": False})


@pytest.mark.parametrize(
    ("name", "text", "line", "key"),
    [
        ("axolotl.yml", AXOLOTL, 7, "gradient_checkpointing"),
        ("trl.yml", TRL.replace("gradient_checkpointing: true\n", ""), 1, "TRL"),
        ("run.sh", COMMAND, 6, "gradient_checkpointing"),
        ("train.py", SCRIPT, 8, "gradient_checkpointing"),
        ("train.py", SCRIPT.replace("    gradient_checkpointing=True,", ""), 5, "SFTConfig"),
        ("train.py", SCRIPT.replace("args = SFTConfig", "args = load"), 4, "LoraConfig"),
    ],
)
def test_where_the_trainer_is_given_something(tmp_path: Path, name: str, text: str, line: int, key: str) -> None:
    found = opened(tmp_path, name, text).training_line(["router_aux_loss_coef", "gradient_checkpointing"])
    assert (found.line, found.key) == (line, key)


TRAINING = st.fixed_dictionaries(
    {},
    optional={
        "gradient_checkpointing": st.booleans(),
        "gradient_accumulation_steps": st.integers(1, 512),
        "router_aux_loss_coef": st.floats(0, 1),
        "weight_decay": st.floats(0, 1),
    },
)


@pytest.mark.parametrize("tool", [Trl(), Axolotl(), LlamaFactory(), MsSwift()], ids=lambda tool: tool.title)
@given(training=TRAINING)
def test_what_a_fragment_says_of_the_trainer_is_read_from_it(tool: FlatDialect, training: dict[str, Any]) -> None:
    plan = read_back(tool, tool.fragment({"target_modules": ["q_proj", "v_proj"]}, "owner/model", training))
    bare = read_back(tool, tool.fragment({"target_modules": ["q_proj", "v_proj"]}, "owner/model"))
    needed = {name: value for name, value in training.items() if name not in tool.needless}
    assert plan.trainer_arguments == {**bare.trainer_arguments, **needed}
    assert plan.reading.arguments == bare.reading.arguments
    assert plan.reading.unknown == ()
    if bare.reading.training.place is not None and needed:
        assert bare.training_changed(needed).trainer_arguments == plan.trainer_arguments


CALLS = [
    "SFTConfig()",
    "SFTConfig('out')",
    "SFTConfig(weight_decay=0.3, output_dir='out',)",
    "trl.SFTConfig(  # first\n    gradient_checkpointing=True\n)",
    "SFTConfig(\n    output_dir='out',  # first\n    gradient_checkpointing=False,  # second\n    # last\n)",
    "SFTTrainer(args=TrainingArguments('out', weight_decay=DECAY), peft_config=config)",
]


@given(call=st.sampled_from(CALLS), training=TRAINING)
def test_a_call_is_given_arguments_and_stays_what_it_is(call: str, training: dict[str, Any]) -> None:
    text = f"DECAY = 0.5\nconfig = LoraConfig(r=8)\nargs = {call}\nprint('done')  # end\n"
    document = PythonDocument(Path("train.py"), text)
    (_, section), *_ = Peft().claims(document)
    file = PlanFile(document, section, Peft(), Peft().read(document, section))
    after = file.training_changed(training)
    assert after.trainer_arguments == {**file.trainer_arguments, **training}
    assert after.reading.arguments == file.reading.arguments
    for comment in ("# first", "# second", "# last", "# end"):
        assert (comment in after.text) == (comment in text)
    assert after.training_edits(training) == ()


def test_what_fragments_say_of_the_trainer() -> None:
    training = {"gradient_checkpointing": False, "router_aux_loss_coef": 0.0}
    lines = {
        "trl": ["gradient_checkpointing: false", "router_aux_loss_coef: 0.0"],
        "axolotl": ["gradient_checkpointing: false"],
        "llama-factory": ["gradient_checkpointing: false"],
        "ms-swift": [],
        "unsloth": [],
        "unsloth-train": [],
        "peft": [],
    }
    for name, expected in lines.items():
        tool = dialect(name)
        arguments = {"target_modules": ["q_proj", "v_proj"]}
        bare = tool.fragment(arguments, "m").splitlines()
        assert tool.fragment(arguments, "m", training).splitlines() == [*bare, *expected]


def test_shorthands_say_it_too() -> None:
    targets = {"target_modules": ["layers.0.q_proj", "layers.1.q_proj"]}
    texts = list(LlamaFactory().shorthands(targets, "m", {"gradient_checkpointing": False}))
    assert texts
    assert all("gradient_checkpointing: false\n" in text for text in texts)


def test_values_that_the_tool_refuses_are_told(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"trl.yml:5: gradient_checkpointing must be true or false, not 3"):
        opened(tmp_path, "trl.yml", TRL.replace("checkpointing: true", "checkpointing: 3"))


def test_the_arguments_are_those_of_transformers_and_trl() -> None:
    trl = pytest.importorskip("trl")
    names = set(trl.SFTConfig.__dataclass_fields__)
    assert set(TRAINER_ARGUMENTS) <= names


def test_json_of_llama_factory_is_changed_alike(tmp_path: Path) -> None:
    settings = {"model_name_or_path": "m", "finetuning_type": "lora", "gradient_checkpointing": True, "stage": "sft"}
    file = opened(tmp_path, "args.json", json.dumps(settings, indent=2))
    after = file.training_changed({"gradient_checkpointing": False})
    assert json.loads(after.text) == {**settings, "gradient_checkpointing": False}
