"""``--trainer``, ``--trainer-args`` and ``--trial-train`` on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archlint.core.training import Trainer
from archlint.plans.dialects.reading import TRAINER_ARGUMENTS

from .conftest import Call, Engine


class TestTrainers:
    @pytest.mark.parametrize(
        ("arguments", "trainers"),
        [
            ([], None),
            (["--trainer", "trl-sft"], (Trainer.SFT,)),
            (["--trainer", "trl-dpo,transformers"], (Trainer.DPO, Trainer.TRANSFORMERS)),
            (["--trainer", "trl-kto, trl-grpo"], (Trainer.KTO, Trainer.GRPO)),
            (["--trainer", "trl-dpo", "--trainer", "trl-sft"], (Trainer.DPO, Trainer.SFT)),
            (["--trainer", "trl-sft,trl-dpo", "--trainer", "trl-sft"], (Trainer.SFT, Trainer.DPO)),
            (["--trainer", "trl-reward"], (Trainer.REWARD,)),
            (["--trainer", "none"], ()),
        ],
    )
    def test_names_reach_the_engine(
        self, call: Call, engine: Engine, arguments: list[str], trainers: tuple[Trainer, ...] | None
    ) -> None:
        assert call("x", *arguments).exit_code == 0
        assert engine.options.trainers == trainers
        assert not engine.options.trial_train

    def test_every_trainer_is_a_word(self, call: Call, engine: Engine) -> None:
        for trainer in Trainer:
            assert call("x", "--trainer", trainer.value).exit_code == 0
            assert engine.options.trainers == (trainer,)

    @pytest.mark.parametrize(
        ("value", "says"),
        [
            ("trl-stf", "did you mean trl-sft?\n"),
            ("trl-sft,transfomers", "did you mean transformers?\n"),
            ("SFT", "is none of trl-sft,"),
            ("SFT", "did you mean trl-sft?"),
            ("TRL-SFT", "did you mean trl-sft?"),
            ("SFTTrainer", "did you mean trl-sft?"),
            ("GRPOConfig", "did you mean trl-grpo?"),
            ("Trainer", "did you mean transformers?"),
            ("None", "did you mean none?"),
            ("", "'' is none of"),
            ("trl-sft,", "'' is none of"),
            ("none,trl-sft", "none stands alone"),
            ("trl-reward,trl-sft", "trl-reward"),
            ("transformers,trl-reward", "stands alone"),
        ],
    )
    def test_wrong_names_are_wrong_usage(self, call: Call, engine: Engine, value: str, says: str) -> None:
        result = call("x", "--trainer", value)
        assert (result.exit_code, result.stdout) == (2, "")
        assert says in result.stderr
        assert engine.calls == []

    def test_nobody_and_somebody_in_two_options(self, call: Call, engine: Engine) -> None:
        assert call("x", "--trainer", "none", "--trainer", "trl-sft").exit_code == 2
        assert call("x", "--trainer", "trl-reward", "--trainer", "trl-sft").exit_code == 2

    @pytest.mark.parametrize("trainers", [[], ["--trainer", "trl-sft"], ["--trainer", "transformers,trl-sft"]])
    def test_a_trial_is_asked_for(self, call: Call, engine: Engine, trainers: list[str]) -> None:
        assert call("x", "--trial-train", *trainers).exit_code == 0
        assert engine.options.trial_train

    @pytest.mark.parametrize("trainers", ["trl-dpo", "transformers", "none"])
    def test_a_trial_is_of_sft_alone(self, call: Call, engine: Engine, trainers: str) -> None:
        result = call("x", "--trial-train", "--trainer", trainers)
        assert (result.exit_code, engine.calls) == (2, [])
        assert "--trial-train tries SFTTrainer alone" in result.stderr

    def test_help_names_what_matters(self, call: Call) -> None:
        text = call("--help").stdout
        assert [name for name in (*TRAINER_ARGUMENTS, "modules_to_save") if name not in text] == []
        assert [trainer.value for trainer in Trainer if trainer.value not in text] == []


class TestArguments:
    @pytest.mark.parametrize(
        ("pair", "value"),
        [
            ("gradient_checkpointing=false", False),
            ("gradient_checkpointing=False", False),
            ("gradient_checkpointing=off", False),
            ("gradient_checkpointing=no", False),
            ("gradient_checkpointing=0", False),
            ("gradient_checkpointing=true", True),
            ("gradient_checkpointing=1", True),
            ("gradient_checkpointing=none", None),
            ("router_aux_loss_coef=0", 0),
            ("router_aux_loss_coef=0.0", 0.0),
            ("router_aux_loss_coef = 1e-3", 0.001),
            ("router_aux_loss_coef=None", None),
            ("gradient_accumulation_steps=8", 8),
            ("weight_decay=0.1", 0.1),
            ("loss_type=nll", "nll"),
            ("max_length=512", 512),
            ("bf16=True", True),
            ("learning_rate=1e-4", 1e-4),
            ('lr_scheduler_kwargs={"a": 1, "b": "c,d=e"}', {"a": 1, "b": "c,d=e"}),
        ],
    )
    def test_values_are_read_as_trl_reads_them(self, call: Call, engine: Engine, pair: str, value: Any) -> None:
        result = call("x", "--trainer-args", pair)
        assert result.exit_code == 0, result.stderr
        (found,) = engine.options.trainer_arguments.values()
        assert (found, type(found) is bool) == (value, isinstance(value, bool))

    def test_several_are_taken_and_the_last_wins(self, call: Call, engine: Engine) -> None:
        pairs = ["weight_decay=0.1", "gradient_checkpointing=off", "weight_decay=0"]
        call("x", *(part for pair in pairs for part in ("--trainer-args", pair)))
        assert engine.options.trainer_arguments == {"weight_decay": 0, "gradient_checkpointing": False}

    @pytest.mark.parametrize(
        ("pair", "says"),
        [
            ("gradient_checkpoint=false", "did you mean gradient_checkpointing?\n"),
            ("router_aux_los_coef=0", "did you mean router_aux_loss_coef?"),
            ("gradient_checkpointing", "is not of the form name=value"),
            ("=1", "is not of the form name=value"),
            ("gradient_checkpointing=maybe", "'maybe'"),
            ("gradient_checkpointing=", "gradient_checkpointing takes"),
            ("router_aux_loss_coef=much", "'much'"),
            ("gradient_accumulation_steps=1.5", "'1.5'"),
            ("gradient_accumulation_steps=0", "takes a whole number of at least 1, not '0'"),
            ("gradient_accumulation_steps=-4", "takes a whole number of at least 1, not '-4'"),
            ("router_aux_loss_coef=nan", "takes a number of at least 0, not 'nan'"),
            ("router_aux_loss_coef=inf", "takes a number of at least 0, not 'inf'"),
            ("router_aux_loss_coef=-0.1", "takes a number of at least 0, not '-0.1'"),
            ("weight_decay=-0.01", "takes a number of at least 0, not '-0.01'"),
            ("weight_decay=nan", "takes a number of at least 0, not 'nan'"),
            ("gradient_checkpointing=false,weight_decay=0.1", "give --trainer-args once for each"),
            ("modules_to_save=lm_head,weight_decay=0.1", "give --trainer-args once for each"),
        ],
    )
    def test_wrong_arguments_are_wrong_usage(self, call: Call, engine: Engine, pair: str, says: str) -> None:
        result = call("x", "--trainer-args", pair)
        assert (result.exit_code, result.stdout) == (2, "")
        assert says in result.stderr
        assert engine.calls == []


class TestSavedModules:
    """``modules_to_save`` is part of the plan, in spite of where it stands."""

    def test_they_are_the_plans(self, call: Call, engine: Engine) -> None:
        call("x", "--target-modules", "q_proj", "--trainer-args", "modules_to_save=lm_head,embed_tokens")
        assert engine.options.plan is not None
        assert engine.options.plan.lora["modules_to_save"] == ["lm_head", "embed_tokens"]
        assert engine.options.plan.lora["target_modules"] == ["q_proj"]
        assert engine.options.trainer_arguments == {}

    def test_blanks_after_commas_are_no_part_of_a_name(self, call: Call, engine: Engine) -> None:
        call("x", "--target-modules", "q_proj", "--trainer-args", "modules_to_save=lm_head, embed_tokens")
        assert engine.options.plan is not None
        assert engine.options.plan.lora["modules_to_save"] == ["lm_head", "embed_tokens"]

    def test_a_file_is_a_plan_too(self, call: Call, engine: Engine, tmp_path: Path) -> None:
        file = tmp_path / "adapter_config.json"
        file.write_text('{"peft_type": "LORA", "target_modules": ["q_proj"]}')
        call("x", "--adapter-config", str(file), "--trainer-args", "modules_to_save=lm_head")
        assert engine.options.plan is not None
        assert engine.options.plan.lora == {"modules_to_save": ["lm_head"]}

    def test_without_a_plan_they_are_wrong_usage(self, call: Call, engine: Engine) -> None:
        result = call("x", "--trainer-args", "modules_to_save=lm_head")
        assert result.exit_code == 2
        assert "--target-modules" in result.stderr

    def test_they_are_not_mended_in_a_file_and_named_as_they_were_given(self, call: Call, tmp_path: Path) -> None:
        file = tmp_path / "adapter_config.json"
        file.write_text('{"peft_type": "LORA", "target_modules": ["q_proj"]}')
        result = call("x", "--adapter-config", str(file), "--fix", "--trainer-args", "modules_to_save=lm_head")
        assert result.exit_code == 2
        assert "modules_to_save" in result.stderr  # there is no option --modules-to-save


MOE = ("type:granitemoe", "--offline", "--select", "ARC7")


class TestReally:
    """With the engine itself."""

    def test_a_model_that_the_trainer_cannot_train_fails(self, call: Call) -> None:
        result = call(*MOE)
        assert result.exit_code == 1
        assert "ARC705 aux-loss-config" in result.stdout
        assert "SFTConfig(\n    router_aux_loss_coef=0.0,\n)" in result.stdout
        assert call(*MOE, "--fail-on", "never").exit_code == 0

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--trainer", "none"],
            ["--trainer", "transformers"],
            ["--trainer-args", "router_aux_loss_coef=0"],
            ["--trainer-args", "router_aux_loss_coef=0.0", "--trainer", "trl-dpo,trl-sft"],
        ],
    )
    def test_what_silences_it(self, call: Call, arguments: list[str]) -> None:
        result = call(*MOE, *arguments)
        assert result.exit_code == 0
        assert "ARC705" not in result.stdout

    def test_trainers_of_the_plans_file_are_taken_unless_others_are_named(self, call: Call, tmp_path: Path) -> None:
        file = tmp_path / "train.yml"
        file.write_text("adapter: lora\nbase_model: type:granitemoe\nlora_target_modules: [q_proj, v_proj]\n")
        arguments = ("--adapter-config", str(file), *MOE, "--format", "json")

        def found(*more: str) -> tuple[int, list[str]]:
            result = call(*arguments, *more)
            (report,) = json.loads(result.stdout)["reports"]
            return result.exit_code, [verdict["trainer"] for verdict in report["trainers"]]

        assert found() == (0, ["transformers"])
        assert found("--trainer", "trl-kto") == (1, ["trl-kto"])
        assert found("--trainer", "none") == (0, [])

    def test_a_change_of_the_trainers_argument_is_a_fix_of_the_file(self, call: Call, tmp_path: Path) -> None:
        file = tmp_path / "sft.yml"
        text = "model_name_or_path: type:qwen3\nuse_peft: true\nlora_target_modules: [q_proj, v_proj]\n"
        file.write_text(f"{text}router_aux_loss_coef: 0.001\n")
        arguments = ("--adapter-config", str(file), "--offline", "--select", "ARC705", "--format")

        def fixes(*more: str) -> list[str]:
            (result,) = json.loads(call(*arguments, "sarif", *more).stdout)["runs"][0]["results"]
            changes = [change for fix in result.get("fixes", ()) for change in fix["artifactChanges"]]
            return [it["insertedContent"]["text"] for change in changes for it in change["replacements"]]

        assert fixes() == ["router_aux_loss_coef: 0.0"]
        assert fixes("--trainer-args", "gradient_checkpointing=true") == ["router_aux_loss_coef: 0.0"]
        assert fixes("--trainer-args", "router_aux_loss_coef=0.01") == []  # which the file cannot mend
        (report,) = json.loads(call(*arguments, "json").stdout)["reports"]
        (finding,) = report["findings"]
        (edit,) = finding["remedies"][0]["edits"]
        assert (edit["line"], edit["key"], edit["text"]) == (4, "router_aux_loss_coef", "router_aux_loss_coef: 0.0")
