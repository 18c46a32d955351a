"""``archlint recipe``: the recipe and nothing else on standard output."""

from __future__ import annotations

import ast
import json

import pytest

from .conftest import RECIPE, Call, Engine


def arguments_of(source: str) -> dict[str, object]:
    call = ast.parse(source, mode="eval").body
    assert isinstance(call, ast.Call)
    return {keyword.arg or "": ast.literal_eval(keyword.value) for keyword in call.keywords}


def test_a_config_to_paste(call: Call, engine: Engine) -> None:
    result = call("recipe", "some-error")
    assert result.exit_code == 0
    assert arguments_of(result.stdout) == RECIPE
    assert "2 adapters on 100 % of the text weights" in result.stderr
    assert "forward and backward run, every adapter gets a gradient" in result.stderr
    assert list(engine.options.rules) == []


def test_a_rank_keeps_the_scale(call: Call, engine: Engine) -> None:
    assert arguments_of(call("recipe", "x", "--rank", "32").stdout) == {"r": 32, "lora_alpha": 32, **RECIPE}


def test_an_adapter_config_to_save(call: Call, engine: Engine) -> None:
    result = call("recipe", "x", "--format", "json", "--rank", "4")
    assert json.loads(result.stdout) == {
        "peft_type": "LORA",
        "base_model_name_or_path": "org/x",
        "r": 4,
        "lora_alpha": 4,
        **RECIPE,
    }


def test_the_saved_config_can_be_checked(call: Call, engine: Engine, tmp_path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "adapter_config.json"
    file.write_text(call("recipe", "x", "--format", "json").stdout)
    assert call("--adapter-config", str(file)).exit_code == 0
    assert engine.sources[-1] == "org/x"
    assert engine.options.plan_file is not None
    assert engine.options.plan_file.reading.arguments == RECIPE


def test_options_reach_the_engine(call: Call, engine: Engine) -> None:
    call("recipe", "x", "--scope", "all", "--offline", "--revision", "v1", "--class", "Other")
    options = engine.options
    assert options.scope is not None
    source = options.source
    assert (options.scope.value, source.offline, source.revision, source.class_name) == ("all", True, "v1", "Other")


def test_a_tool_and_a_part_reach_the_engine(call: Call, engine: Engine) -> None:
    result = call("recipe", "x", "--for", "unsloth", "--preset", "attention", "--rank", "4")
    assert engine.options.preset.value == "attention"
    assert not call("recipe", "x", "--for", "llama-factory").stdout  # what it cannot say it does not print
    assert not engine.options.means.exclusion
    assert "get_peft_model(" in result.stdout
    assert "r=4" in result.stdout


def test_no_recipe(call: Call, engine: Engine) -> None:
    result = call("recipe", "norecipe")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "error: no recipe was found for scope text\n"


def test_a_source_that_is_not_there(call: Call, engine: Engine) -> None:
    result = call("recipe", "gone")
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr == "error: the architecture: it is not there\n"


def test_wrong_usage(call: Call, engine: Engine) -> None:
    for arguments in (
        ["recipe"],
        ["recipe", "x", "y"],
        ["recipe", "x", "--rank", "0"],
        ["recipe", "x", "--for", "nothing"],
        ["recipe", "x", "--preset", "nothing"],
        ["recipe", "x", "--for", "trl", "--format", "json"],
    ):
        result = call(*arguments)
        assert result.exit_code == 2
        assert result.stderr.splitlines()[1] == "hint: archlint recipe --help"
    assert engine.calls == []


def test_a_recipe_that_was_not_run_is_printed_and_not_clean(call: Call, engine: Engine) -> None:
    result = call("recipe", "unrun")
    assert arguments_of(result.stdout) == RECIPE
    assert "forward and backward not run" in result.stderr
    assert result.exit_code == 3


class TestTrainers:
    """What SFTTrainer needs beside the recipe, told by the engine itself."""

    def test_what_trl_needs_is_printed_for_trl(self, call: Call) -> None:
        result = call("recipe", "type:granitemoe", "--for", "trl", "--offline")
        assert result.exit_code == 0
        assert result.stdout.endswith("\nrouter_aux_loss_coef: 0.0\n")
        assert "TRL's SFTTrainer needs router_aux_loss_coef=0.0" in result.stderr

    def test_checkpointing_is_turned_off_for_trl(self, call: Call) -> None:
        result = call("recipe", "type:ctrl", "--for", "trl", "--offline")
        assert result.exit_code == 0
        assert "\ngradient_checkpointing: false\n" in result.stdout
        assert "TRL's SFTTrainer needs gradient_checkpointing=False" in result.stderr

    def test_a_model_that_needs_nothing_gets_nothing(self, call: Call) -> None:
        result = call("recipe", "type:gpt2", "--for", "trl", "--offline")
        assert result.exit_code == 0
        assert not {"router_aux_loss_coef", "gradient_checkpointing", "SFTTrainer"} & {
            *result.stdout.replace(":", "").split(),
            *result.stderr.split(),
        }

    @pytest.mark.parametrize("source", ["type:granitemoe", "type:ctrl"])
    def test_a_tool_with_its_own_forward_needs_nothing(self, call: Call, source: str) -> None:
        result = call("recipe", source, "--for", "axolotl", "--offline")
        assert result.exit_code == 0
        assert "router_aux_loss_coef" not in result.stdout
        assert "gradient_checkpointing" not in result.stdout
        assert "SFTTrainer" not in result.stderr

    def test_a_config_for_peft_holds_nothing_of_it(self, call: Call) -> None:
        result = call("recipe", "type:granitemoe", "--offline")
        assert result.exit_code == 0
        assert "router_aux_loss_coef" not in arguments_of(result.stdout)
        assert "TRL's SFTTrainer needs router_aux_loss_coef=0.0" in result.stderr

    @pytest.mark.parametrize(("tool", "code"), [("trl", 1), ("peft", 0), ("axolotl", 0)])
    def test_a_model_that_trl_cannot_train(self, call: Call, tool: str, code: int) -> None:
        result = call("recipe", "type:t5", "--for", tool, "--offline")
        assert (result.exit_code, bool(result.stdout)) == (code, True)
        assert ("TRL's SFTTrainer cannot train this model" in result.stderr) is (tool != "axolotl")

    @pytest.mark.parametrize("tool", ["trl", "peft"])
    def test_a_loss_that_is_not_the_models_is_told(self, call: Call, tool: str) -> None:
        result = call("recipe", "type:modernbert-decoder", "--for", tool, "--offline")
        assert result.exit_code == 0
        assert "TRL's SFTTrainer trains this model towards another loss than its own (ARC701)" in result.stderr
        assert "ARC701" not in call("recipe", "type:modernbert-decoder", "--for", "axolotl", "--offline").stderr

    def test_and_so_is_the_setting_that_mends_it(self, call: Call) -> None:
        result = call("recipe", "type:recurrent_gemma", "--for", "trl", "--offline")
        assert result.exit_code == 0
        assert "(ARC701): set final_logit_softcapping=30.0 in the text config first\n" in result.stderr
