"""``check_plan`` and ``recipe`` in a training script: on live models and on sources."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import IA3Config, LoHaConfig, LoraConfig, PromptTuningConfig, get_peft_model
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

import archlint

SNAPSHOT = Path(__file__).parent.parent / "fixtures" / "snapshots" / "google--gemma-4-E2B-it.json"


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the config of a gemma-4 of few layers, without its audio tower."""
    config = json.loads(SNAPSHOT.read_text(encoding="utf-8"))["config"]
    layers = ["sliding_attention", "full_attention"]
    config["text_config"] |= {"num_hidden_layers": 4, "layer_types": layers * 2, "num_kv_shared_layers": 2}
    config["vision_config"]["num_hidden_layers"] = 1
    config["audio_config"] = None
    folder = tmp_path_factory.mktemp("gemma")
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def broken(gemma: Path) -> archlint.Report:
    """The report on a plan that reaches the wrapped layers of its towers."""
    return archlint.check_plan(gemma, LoraConfig(target_modules=["q_proj", "v_proj"]))


@pytest.fixture
def llama() -> LlamaForCausalLM:
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    return LlamaForCausalLM(LlamaConfig(**sizes, vocab_size=64))


def test_the_recipe_trains_every_adapter_of_a_live_model(llama: LlamaForCausalLM) -> None:
    arguments = archlint.recipe(llama, rank=4)
    assert (arguments["r"], arguments["lora_alpha"]) == (4, 4)
    model = get_peft_model(llama, LoraConfig(**arguments))
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(weight)  # at zero, it would keep the gradient from lora_A
    tokens = torch.randint(0, 64, (2, 8))
    model(input_ids=tokens, labels=tokens).loss.backward()
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    assert len(trained) == 2 * 7 * 2
    assert all(weight.grad is not None and weight.grad.any() for weight in trained)


def test_the_recipe_passes_its_own_guard(gemma: Path, broken: archlint.Report) -> None:
    assert broken.recipe is not None
    report = archlint.check_plan(gemma, LoraConfig(**broken.recipe.plan.lora))
    assert report.ok, report
    assert report.raise_for_findings() is report


def test_a_plan_that_breaks_stops_the_script(broken: archlint.Report) -> None:
    assert not broken.ok
    assert repr(broken) == "<Report Gemma4ForConditionalGeneration: 1 error, 3 infos; not ok>"
    with pytest.raises(archlint.FindingsError, match="error ARC101 wrapped-linear") as raised:
        broken.raise_for_findings("error")
    assert raised.value.report is broken
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(broken)


@pytest.mark.parametrize(
    "config",
    [
        LoraConfig(target_modules=["q_proj", "v_proj"]),
        LoHaConfig(target_modules=["q_proj", "v_proj"], r=4),
        IA3Config(target_modules=["k_proj", "v_proj", "down_proj"], feedforward_modules=["down_proj"]),
    ],
    ids=lambda config: config.peft_type.value,
)
def test_a_sound_config_of_any_tuner_is_ok(llama: LlamaForCausalLM, config: Any) -> None:
    report = archlint.check_plan(llama, config)
    assert report.plan is not None
    assert report.plan.plan.tuner == config.peft_type.value
    assert len(report.plan.adapted) == 2 * len(config.target_modules)
    assert report.ok, report


def test_the_kind_of_adapter_may_stand_in_a_mapping(llama: LlamaForCausalLM) -> None:
    plan = {"peft_type": "LOHA", "target_modules": ["q_proj"], "inference_mode": True}
    report = archlint.check_plan(llama, plan)
    assert report.plan is not None
    assert (report.plan.plan.tuner, dict(report.plan.plan.lora)) == ("LOHA", {"target_modules": ["q_proj"]})


@pytest.mark.parametrize("pattern", [{0: 4, None: 2}, {("q", "proj"): 4}, {1.5: 4}])
def test_keys_that_are_no_texts_are_written_as_such(llama: LlamaForCausalLM, pattern: dict[Any, int]) -> None:
    report = archlint.check_plan(llama, {"target_modules": {"q_proj", "v_proj"}, "rank_pattern": pattern})
    assert report.plan is not None
    assert report.plan.plan.lora == {
        "target_modules": ["q_proj", "v_proj"],
        "rank_pattern": {str(key): rank for key, rank in pattern.items()},
    }
    assert "ARC513" in {finding.code for finding in report.findings}


@pytest.mark.parametrize(
    ("plan", "why"),
    [
        (None, "a plan is expected"),
        ("all-linear", "is expected, not str"),
        (LoraConfig, "is expected, not type"),
        (PromptTuningConfig(num_virtual_tokens=4), "places no adapters by module"),
    ],
)
def test_what_is_no_plan_is_a_type_error(llama: LlamaForCausalLM, plan: Any, why: str) -> None:
    with pytest.raises(TypeError, match=why):
        archlint.check_plan(llama, plan)


@pytest.mark.parametrize("plan", [{"r": 10**5000}, {"rank_pattern": {"q_proj": -(10**5000)}}])
def test_a_number_that_no_plan_has_is_a_value_error(llama: LlamaForCausalLM, plan: Any) -> None:
    with pytest.raises(ValueError, match="a plan has no number of hundreds of digits"):
        archlint.check_plan(llama, {"target_modules": ["q_proj"], **plan})


def test_unchecked_is_not_ok() -> None:
    report = archlint.check_plan("type:no-such-type", {"target_modules": ["q_proj"]}, offline=True)
    assert not report.ok
    with pytest.raises(archlint.FindingsError):
        report.raise_for_findings("error")
    assert report.raise_for_findings("error", allow_unchecked=True) is report


def test_the_recipe_of_a_folder_is_that_of_its_model(llama: LlamaForCausalLM, tmp_path: Path) -> None:
    llama.config.save_pretrained(tmp_path)
    assert archlint.recipe(tmp_path, class_name="LlamaForCausalLM") == archlint.recipe(llama)


def test_no_recipe_says_why() -> None:
    with pytest.raises(archlint.NoRecipeError, match="type:no-such-type"):
        archlint.recipe("type:no-such-type", offline=True)
    with pytest.raises(archlint.NoRecipeError, match="could not be run"):
        archlint.recipe(nn.ModuleDict({"q_proj": nn.Linear(4, 4)}))
    assert archlint.recipe(nn.ModuleDict({"q_proj": nn.Linear(4, 4)}), allow_unchecked=True)["target_modules"]


def test_a_rank_is_at_least_one(llama: LlamaForCausalLM) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        archlint.recipe(llama, rank=0)


def test_a_preset_shapes_the_recipe() -> None:
    assert set(archlint.recipe("type:llama", preset="attention")["target_modules"]) == {
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
    }
    with pytest.raises(ValueError, match="nothing"):
        archlint.recipe("type:llama", preset="nothing")


class TestTrainers:
    """Whom a model is checked for, and what the trainer is given, in the words of the command line."""

    @pytest.mark.parametrize("given", ["trl-sft,transformers", ["trl-sft", "transformers"], ("trl-sft,transformers",)])
    def test_one_text_or_several(self, llama: LlamaForCausalLM, given: Any) -> None:
        report = archlint.lint(llama, select=["ARC7"], trainers=given)
        assert [trainer.value for trainer in report.training.trainers] == ["trl-sft", "transformers"]

    @pytest.mark.parametrize("given", ["none", [], ()])
    def test_nobody(self, llama: LlamaForCausalLM, given: Any) -> None:
        assert archlint.lint(llama, select=["ARC7"], trainers=given).training.trainers == ()

    @pytest.mark.parametrize(
        ("given", "says"),
        [
            ("trl-stf", "is none of trl-sft, .*; did you mean trl-sft"),
            (["SFTTrainer"], "did you mean trl-sft"),
            (["trl-reward", "trl-sft"], "stands alone"),
            ("", "is none of"),
        ],
    )
    def test_wrong_names(self, llama: LlamaForCausalLM, given: Any, says: str) -> None:
        with pytest.raises(ValueError, match=says):
            archlint.check_plan(llama, {"target_modules": ["q_proj"]}, trainers=given)

    def test_texts_are_read_as_on_the_command_line(self, llama: LlamaForCausalLM) -> None:
        arguments = {"gradient_checkpointing": "false", "weight_decay": "0.1", "router_aux_loss_coef": None}
        report = archlint.lint(llama, select=["ARC7"], trainers="trl-sft", trainer_args=arguments)
        assert report.training.arguments == {
            "gradient_checkpointing": False,
            "weight_decay": 0.1,
            "router_aux_loss_coef": None,
        }

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            ({"gradient_checkpointng": False}, "did you mean gradient_checkpointing"),
            ({3: False}, "has no 3"),
            ({"gradient_checkpointing": []}, "takes true or false"),
            ({"gradient_accumulation_steps": 0}, "at least 1"),
            ({"gradient_accumulation_steps": 1.5}, "at least 1"),
            ({"router_aux_loss_coef": float("nan")}, "at least 0"),
            ({"weight_decay": -0.1}, "at least 0"),
            ({"modules_to_save": ["lm_head"]}, "an argument of the plan"),
        ],
    )
    def test_wrong_arguments(self, llama: LlamaForCausalLM, arguments: Any, says: str) -> None:
        with pytest.raises(ValueError, match=says):
            archlint.lint(llama, trainer_args=arguments)

    def test_arguments_are_a_mapping(self, llama: LlamaForCausalLM) -> None:
        wrong: Any = "gradient_checkpointing=false"
        with pytest.raises(TypeError, match="a mapping"):
            archlint.lint(llama, trainer_args=wrong)


def test_a_module_that_is_no_model_of_transformers_may_hold_a_config_of_theirs() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.config = LlamaConfig(num_hidden_layers=1)
            self.q_proj = nn.Linear(8, 8)

        def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
            return self.q_proj(torch.sin(input_ids[..., None] * torch.ones(8, device=input_ids.device)))

    report = archlint.check_plan(Net(), {"target_modules": ["q_proj"]})
    assert report.plan is not None
    assert report.plan.adapted == ("q_proj",)
