"""A plan's file is mended in place: what is wrong goes, what else is in it stays."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from archlint.cli.app import app
from archlint.core.catalog import Catalog
from archlint.core.finding import Severity
from archlint.engine import Options
from archlint.fixing import fix
from archlint.plans import read_plan_file
from archlint.sources import SourceOptions

AXOLOTL = """\
# a first run
base_model: type:mixtral
adapter: lora       # or qlora
lora_r: 16
lora_alpha: 32
lora_dropout: 0.0   # as ever
lora_target_linear: true

sequence_len: 4096
"""
ADAPTER = """\
{
  "peft_type": "LORA",
  "r": 16,
  "target_modules": ["q_proj", "v_proj"],
  "lora_alpha": 32
}
"""


def options(file: Path) -> Options:
    rules = Catalog.load().select(None, (), ())
    return Options(rules=rules, plan_file=read_plan_file(file), source=SourceOptions(offline=True))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--offline"])


@pytest.fixture
def axolotl(tmp_path: Path) -> Path:
    file = tmp_path / "train.yml"
    file.write_text(AXOLOTL)
    return file


def test_the_experts_that_a_trainer_leaves_out(axolotl: Path) -> None:
    fixed = fix("type:mixtral", options(axolotl))
    assert [finding.code for finding, _ in fixed.done] == ["ARC301"]
    assert set(fixed.after.text.splitlines()) ^ set(AXOLOTL.splitlines()) == {
        "lora_target_parameters: [experts.gate_up_proj, experts.down_proj]",
    }
    assert fixed.report.ok
    assert fixed.report.plan is not None
    assert fixed.report.plan.coverage > 0.95
    assert axolotl.read_text() == AXOLOTL


def test_names_that_reach_a_wrapper_are_kept_where_they_train(shallow: Callable[[str], str], tmp_path: Path) -> None:
    file = tmp_path / "adapter_config.json"
    file.write_text(ADAPTER)
    fixed = fix(shallow("google/gemma-4-E2B-it"), options(file))
    assert [finding.code for finding, _ in fixed.done] == ["ARC101"]
    assert fixed.report.ok
    plan = fixed.report.plan
    assert plan is not None
    assert plan.is_sound
    assert {path.rpartition(".")[2] for path in plan.adapted} == {"q_proj", "v_proj"}
    assert not plan.outside
    changed = set(fixed.after.text.splitlines()) ^ set(ADAPTER.splitlines())
    assert all("target_modules" in line for line in changed)
    assert len(changed) == 2


def test_every_edit_that_is_told_has_its_line(axolotl: Path) -> None:
    fixed = fix("type:mixtral", options(axolotl))
    ((finding, remedy),) = fixed.done
    assert finding.severity is Severity.WARNING
    assert finding.plan_line is not None
    assert (finding.plan_line.line, finding.plan_line.key) == (7, "lora_target_linear")
    assert {(edit.key, edit.text) for edit in remedy.edits} == {
        ("lora_target_parameters", "lora_target_parameters: [experts.gate_up_proj, experts.down_proj]"),
    }


def test_diff_writes_nothing_and_fix_writes_what_it_shows(axolotl: Path) -> None:
    shown = run("--adapter-config", str(axolotl), "--diff")
    assert shown.exit_code == 1
    assert axolotl.read_text() == AXOLOTL
    assert "+lora_target_parameters: [experts.gate_up_proj, experts.down_proj]\n" in shown.stdout
    done = run("--adapter-config", str(axolotl), "--fix", "--format", "concise")
    assert done.exit_code == 0
    assert "lora_dropout: 0.0   # as ever" in axolotl.read_text()
    assert "ARC301 fused-experts fixed" in done.stderr
    again = run("--adapter-config", str(axolotl), "--diff")
    assert (again.exit_code, again.stdout) == (0, "")


def test_a_command_is_mended_in_its_own_words(tmp_path: Path) -> None:
    file = tmp_path / "run.sh"
    file.write_text(
        "#!/bin/bash\nswift sft \\\n    --model type:mixtral \\\n    --target_modules all-linear --lora_dropout 0\n"
    )
    fixed = fix("type:mixtral", options(file))
    assert [finding.code for finding, _ in fixed.done] == ["ARC301"]
    assert fixed.report.ok
    assert "--target_parameters experts.gate_up_proj experts.down_proj" in fixed.after.text
    assert fixed.after.text.startswith(file.read_text().rstrip())


def adapter_config(folder: Path, **settings: object) -> Path:
    file = folder / "adapter_config.json"
    file.write_text(json.dumps({"peft_type": "LORA", "base_model_name_or_path": "type:llama", **settings}, indent=2))
    return file


def test_a_plan_that_trains_something_is_not_blown_up_to_the_recipe(tmp_path: Path) -> None:
    for names in (["q_proj", "v_prj"], ["q_proj", "v_proj", "nonsense"]):  # of the second nothing comes near
        fixed = fix("type:llama", options(adapter_config(tmp_path, target_modules=names)))
        assert fixed.report.plan is not None
        assert {path.rpartition(".")[2] for path in fixed.report.plan.adapted} == {"q_proj", "v_proj"}


def test_names_of_attention_become_the_names_of_attention(tmp_path: Path) -> None:
    file = adapter_config(tmp_path, target_modules=["q_proj", "v_proj"])
    assert not fix("type:gpt2", options(file)).done  # which has no name for these without the output's
    file = adapter_config(tmp_path, target_modules=["q_proj", "v_proj", "o_proj"])
    fixed = fix("type:gpt2", options(file))
    assert fixed.report.ok
    assert fixed.report.plan is not None
    assert {path.rpartition("h.")[2][2:] for path in fixed.report.plan.adapted} >= {"attn.c_attn"}
    assert not [path for path in fixed.report.plan.adapted if "mlp" in path]


@pytest.mark.parametrize(
    "settings",
    [
        {"target_modules": ["q_proj"], "target_parameters": ["experts.down_proj"], "lora_dropout": 0.1},
        {"target_modules": ".*(q|v)_proj", "layers_to_transform": [0, 1], "rank_pattern": {"o_proj": 4}},
        {"target_modules": ["q_proj"], "rank_pattern": {"k_proj": 4}},
    ],
)
def test_a_safe_fix_keeps_what_is_asked_for(tmp_path: Path, settings: dict[str, object]) -> None:
    fixed = fix("type:mixtral", options(adapter_config(tmp_path, **settings)))
    after = json.loads(fixed.after.text)
    assert after.get("target_parameters") == settings.get("target_parameters")
    assert after["target_modules"] in (settings["target_modules"], ["q_proj", "v_proj"])
    assert set(after.get("rank_pattern") or {}) <= set(settings.get("rank_pattern") or {})


def test_two_mistakes_of_one_kind_are_both_mended(tmp_path: Path) -> None:
    settings = {"layers_to_transform": [0, 99], "layers_pattern": "layers", "modules_to_save": ["embed_token"]}
    file = adapter_config(tmp_path, target_modules=["q_proj"], **settings)
    fixed = fix("type:llama", options(file))
    mended = json.loads(fixed.after.text)
    assert (mended["layers_to_transform"], mended["modules_to_save"]) == ([0], ["embed_tokens"])
    assert fixed.report.ok


def test_what_takes_unsafe_fixes_is_said_and_is_not_clean(tmp_path: Path) -> None:
    names = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    file = adapter_config(tmp_path, target_modules=names, lora_dropout=0.05)
    before = file.read_text()
    shown = run("type:qwen3_moe", "--adapter-config", str(file), "--diff")
    assert (shown.exit_code, shown.stdout) == (1, "")
    assert "ARC305 parameter-limits takes --unsafe-fixes, as it is lossy" in shown.stderr
    assert file.read_text() == before
    done = run("type:qwen3_moe", "--adapter-config", str(file), "--fix", "--unsafe-fixes", "--format", "concise")
    assert done.exit_code == 0
    assert json.loads(file.read_text())["lora_dropout"] == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["type:llama", "--fix"], "none is given"),
        (["type:llama", "--unsafe-fixes"], "goes with --fix or --diff"),
        (["--adapter-config", "FILE", "--diff", "--format", "sarif"], "takes no --format"),
        (["--adapter-config", "FILE", "--diff", "--output", "x.sarif"], "takes no --output"),
        (["type:llama", "type:gpt2", "--adapter-config", "FILE", "--diff"], "several are given"),
        (["--adapter-config", "FILE", "--fix", "--target-modules", "q_proj"], "--target-modules is not"),
    ],
)
def test_what_cannot_be_fixed_is_wrong_usage(axolotl: Path, arguments: list[str], says: str) -> None:
    result = run(*(str(axolotl) if argument == "FILE" else argument for argument in arguments))
    assert result.exit_code == 2
    assert says in result.stderr
    assert axolotl.read_text() == AXOLOTL


@pytest.mark.parametrize(
    "content", ["lora_r: [", "adapter: lora\nadapter: lora\n", "a: !!python/name:os.system\n", "x", "[" * 10_000]
)
def test_a_file_that_cannot_be_read_stays_as_it_is(tmp_path: Path, content: str) -> None:
    file = tmp_path / "train.yml"
    file.write_text(content)
    result = run("type:llama", "--adapter-config", str(file), "--fix")
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 2
    assert file.read_text() == content


MOE = """\
model_name_or_path: type:granitemoe
use_peft: true
# what trains
lora_target_modules: [q_proj, v_proj]
lora_dropout: 0.0  # none
packing: true
"""
SCRIPT = """\
from peft import LoraConfig
from trl import SFTConfig, SFTTrainer

peft_config = LoraConfig(r=8, target_modules=["Wq", "Wv"])
args = SFTConfig(output_dir="out", learning_rate=1e-4)  # as ever
trainer = SFTTrainer(model="ctrl", args=args, peft_config=peft_config)
"""


class TestTrainers:
    """What a trainer needs is put into its file as well."""

    def file(self, folder: Path, name: str, text: str) -> Path:
        file = folder / name
        file.write_text(text)
        return file

    def test_an_argument_is_one_line_more(self, tmp_path: Path) -> None:
        file = self.file(tmp_path, "moe.yml", MOE)
        done = run("--adapter-config", str(file), "--fix", "--format", "concise")
        assert done.exit_code == 0
        assert "ARC705 aux-loss-config fixed" in done.stderr
        assert "ARC705" not in done.stdout
        assert file.read_text() == f"{MOE}router_aux_loss_coef: 0.0\n"

    def test_an_argument_in_a_script(self, tmp_path: Path) -> None:
        file = self.file(tmp_path, "train.py", SCRIPT)
        fixed = fix("type:ctrl", options(file))
        assert [finding.code for finding, _ in fixed.done] == ["ARC704"]
        assert fixed.after.text == SCRIPT.replace("1e-4)", "1e-4, gradient_checkpointing=False)")
        assert fixed.report.trainer == {}
        assert fixed.report.ok

    def test_an_argument_that_is_wrong_is_changed_where_it_stands(self, tmp_path: Path) -> None:
        text = MOE.replace("packing: true", "router_aux_loss_coef: 0.01  # as published\npacking: true")
        fixed = fix("type:granitemoe", options(self.file(tmp_path, "moe.yml", text)))
        assert fixed.after.text == text.replace("0.01", "0.0")
        (before,) = [finding for finding, _ in fixed.done]
        assert before.plan_line is not None
        assert (before.plan_line.line, before.plan_line.key) == (6, "router_aux_loss_coef")

    @pytest.mark.parametrize(
        ("model", "name", "text"),
        [
            ("type:granitemoe", "moe.yml", f"{MOE}router_aux_loss_coef: 0.0\n"),
            ("type:ctrl", "train.py", SCRIPT.replace("1e-4)", "1e-4, gradient_checkpointing=False)")),
        ],
    )
    def test_a_file_that_has_it_gives_no_finding(self, tmp_path: Path, model: str, name: str, text: str) -> None:
        fixed = fix(model, options(self.file(tmp_path, name, text)))
        assert (fixed.done, fixed.after.text) == ((), text)
        assert not [finding for finding in fixed.report.findings if finding.trainers]

    def test_what_no_argument_mends_has_no_line_and_is_left(self, tmp_path: Path) -> None:
        text = MOE.replace("granitemoe", "llama4_text")
        fixed = fix("type:llama4_text", options(self.file(tmp_path, "moe.yml", text)))
        assert (fixed.done, fixed.after.text) == ((), text)
        (finding,) = [finding for finding in fixed.report.findings if finding.code == "ARC706"]
        assert finding.plan_line is None
        assert not any(remedy.edits for remedy in finding.remedies)

    @pytest.mark.parametrize("model", ["type:granitemoe", "type:llama4_text"])
    def test_a_tool_with_its_own_forward_gives_no_finding_about_trls(self, tmp_path: Path, model: str) -> None:
        text = f"base_model: {model}\nadapter: lora\nlora_target_modules: [q_proj, v_proj]\n"
        fixed = fix(model, options(self.file(tmp_path, "train.yml", text)))
        assert not {"ARC705", "ARC706"} & {finding.code for finding in fixed.report.findings}
        assert [trainer.value for trainer in fixed.report.training.trainers] == ["transformers"]
