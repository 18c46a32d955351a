"""A plan's file: where it says what a finding is about, and edits that leave the rest alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from archlint.cli.app import app
from archlint.plans import PlanError, PlanFile, read_plan_file
from archlint.plans.documents.json_document import JsonDocument
from archlint.plans.documents.yaml_document import YamlDocument

YAML = """\
base_model: type:llama
adapter: lora
lora_r: 8
lora_alpha: 16
lora_target_modules:
  - q_proj
  - k_proj
  - v_prj
"""
FLOW = YAML.partition("lora_target_modules")[0] + "lora_target_modules: [q_proj,\n  # not k_proj\n  v_prj]  # tail\n"
PYTHON = """\
from peft import LoraConfig

config = LoraConfig(
    r=8,
    target_modules=[
        "q_proj",
        "v_prj",
    ],
)
"""
JSON = json.dumps({"peft_type": "LORA", "r": 8, "target_modules": ["q_proj", "v_prj"]}, indent=2)


def opened(folder: Path, name: str, text: str) -> PlanFile:
    file = folder / name
    file.write_text(text)
    return read_plan_file(file)


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("train.yml", YAML, 8),
        ("train.yml", FLOW, 7),
        ("adapter_config.json", JSON, 6),
        ("train.py", PYTHON, 7),
        ("train.yml", YAML.replace("  - v_prj\n", "peft_layers_to_transform:\n  - 0\n  - 99\n"), 10),
        ("train.yml", YAML.replace("v_prj", "v_proj") + "lora_modules_to_save:\n  - lm_head\n  - lm_haed\n", 11),
    ],
)
def test_a_finding_about_one_value_is_shown_at_its_line(tmp_path: Path, name: str, text: str, line: int) -> None:
    (tmp_path / name).write_text(text)
    (report,) = json.loads(said_of(tmp_path / name, "ARC504", "json"))["reports"]
    assert [(finding["code"], finding["plan_line"]["line"]) for finding in report["findings"]] == [("ARC504", line)]


def test_every_report_shows_that_line(tmp_path: Path) -> None:
    file = tmp_path / "train.yml"
    file.write_text(FLOW)
    (result,) = json.loads(said_of(file, "ARC504", "sarif"))["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["region"]["startLine"] == 7
    assert "line=7," in said_of(file, "ARC504", "github")
    assert "train.yml:7" in said_of(file, "ARC504", "full")


def said_of(file: Path, code: str, form: str) -> str:
    arguments = ["type:llama", "--offline", "--adapter-config", str(file), "--select", code, "--format", form]
    return CliRunner().invoke(app, arguments).stdout


def test_an_exclusion_without_effect_is_shown_at_its_line(tmp_path: Path) -> None:
    settings = {"peft_type": "LORA", "target_modules": ["q_proj"], "exclude_modules": ["k_proj", "tower"]}
    (tmp_path / "adapter_config.json").write_text(json.dumps(settings, indent=1))
    (report,) = json.loads(said_of(tmp_path / "adapter_config.json", "ARC510", "json"))["reports"]
    assert [finding["plan_line"]["line"] for finding in report["findings"]] == [8]


def test_an_edit_keeps_the_order_of_what_stays(tmp_path: Path) -> None:
    file = opened(tmp_path, "train.yml", YAML.replace("k_proj", "k_proj  # keys"))
    old = dict(file.reading.arguments)
    after = file.changed(old, {**old, "target_modules": ["k_proj", "o_proj", "q_proj"]})
    assert after.text == file.text.replace("v_prj", "o_proj")


@pytest.mark.parametrize(
    ("name", "text", "data"),
    [
        ("train.yml", FLOW, ["q_proj", "v_proj"]),
        ("adapter_config.json", JSON, ["q_proj", "v_proj", "o_proj"]),
        ("train.yml", "weird: &d\n  a: 1\ndatasets:\n  - <<: *d\n    path: x\n" + YAML, ["q_proj"]),
    ],
)
def test_an_edit_touches_nothing_else(tmp_path: Path, name: str, text: str, data: Any) -> None:
    file = opened(tmp_path, name, text)
    old = dict(file.reading.arguments)
    after = file.changed(old, {**old, "target_modules": data})
    assert after.reading.arguments == {**old, "target_modules": data}
    assert [line for line in text.splitlines() if "_prj" not in line and "k_proj" not in line] == [
        line for line in after.text.splitlines() if line in text.splitlines() and "k_proj" not in line
    ] or name.endswith("json")


def test_json_keeps_one_item_a_line(tmp_path: Path) -> None:
    file = opened(tmp_path, "adapter_config.json", JSON)
    old = dict(file.reading.arguments)
    after = file.changed(old, {**old, "target_modules": ["q_proj", "v_proj", "o_proj"]})
    assert after.text == JSON.replace('"v_prj"', '"v_proj",\n    "o_proj"')


@pytest.mark.parametrize(
    ("text", "damage"),
    [
        (YAML + "sequence_len: 1\n", lambda text: text.replace("sequence_len: 1", "sequence_len: 2")),
        (YAML + "sequence_len: 1\n", lambda text: text.replace("sequence_len: 1\n", "")),
        (YAML, lambda text: text + "lora_dropout: 0.1\n"),
        (YAML + "# the end\n", lambda text: text.replace("# the end\n", "")),
        (YAML.replace("8\n", "8  # rank\n"), lambda text: text.replace("  # rank", "")),
        (YAML.replace("q_proj", "q_proj  # queries"), lambda text: text.replace("  # queries", "")),
        ("# a\n# b\n" + YAML, lambda text: text.replace("# a\n# b", "# b\n# a")),
    ],
)
def test_an_edit_that_touches_something_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, damage: Any
) -> None:
    file = opened(tmp_path, "train.yml", text)
    old = dict(file.reading.arguments)
    new = {**old, "target_modules": ["q_proj", "v_proj"]}
    assert file.changed(old, new).reading.arguments == new
    rewritten = YamlDocument.rewritten
    monkeypatch.setattr(YamlDocument, "rewritten", lambda *given: damage(rewritten(*given)))
    with pytest.raises(PlanError, match="without touching something else"):
        file.changed(old, new)


def test_a_constant_that_two_settings_share_is_not_changed_for_one(tmp_path: Path) -> None:
    text = "from peft import LoraConfig\nN = 8\nconfig = LoraConfig(r=N, lora_alpha=N, target_modules=['q_proj'])\n"
    file = opened(tmp_path, "train.py", text)
    old = dict(file.reading.arguments)
    try:
        after = file.changed(old, {**old, "r": 4})
    except PlanError:
        return
    assert after.reading.arguments == {**old, "r": 4}


def test_json_that_is_nested_deeply_is_read_once() -> None:
    depth = 400
    inside = ", ".join(["1"] * 200_000)
    document = JsonDocument(Path("file"), '{"a": ' + "[" * depth + inside + "]" * depth + "}")
    assert len(document.sections[0].entries["a"].value.items) == 1


def test_the_last_members_of_a_json_object_go_together(tmp_path: Path) -> None:
    file = tmp_path / "adapter_config.json"
    content = {"peft_type": "LORA", "target_modules": ["q"], "layers_to_transform": [99], "layers_pattern": "layers"}
    file.write_text(json.dumps(content, indent=2))
    before = {key: content[key] for key in ("target_modules", "layers_to_transform", "layers_pattern")}
    changed = read_plan_file(file).changed(before, {"target_modules": ["q"]})
    assert json.loads(changed.text) == {"peft_type": "LORA", "target_modules": ["q"]}
