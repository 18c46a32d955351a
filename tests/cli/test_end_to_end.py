"""The command line with its real engine, on models that need no network."""

from __future__ import annotations

import ast
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from archlint.report import contract

from .conftest import Call

ROOT = Path(__file__).parent.parent.parent
GEMMA = "google/gemma-4-E2B-it"


def test_what_breaks_is_reported_with_a_valid_document(call: Call, shallow: Callable[[str], str]) -> None:
    result = call(shallow(GEMMA), "--offline", "--format", "json")
    assert (result.exit_code, result.stderr) == (1, "")
    document = json.loads(result.stdout)
    Draft202012Validator(contract.schema()).validate(document)
    (report,) = document["reports"]
    (wrapped,) = (finding for finding in report["findings"] if finding["code"] == "ARC101")
    assert sum(sites["count"] for sites in wrapped["sites"]) == 17  # in a layer of each tower
    assert report["recipe"]["trial"]["raised"] is None


def test_the_recipe_passes_its_own_check(call: Call, shallow: Callable[[str], str], tmp_path: Path) -> None:
    recipe = call("recipe", shallow(GEMMA), "--offline", "--format", "json", "--rank", "16")
    assert recipe.exit_code == 0
    file = tmp_path / "adapter_config.json"
    file.write_text(recipe.stdout)
    result = call("--adapter-config", str(file), "--offline", "--format", "json")
    assert result.exit_code == 0, result.output
    (report,) = json.loads(result.stdout)["reports"]
    assert report["plan"]["lora"]["r"] == 16
    assert report["plan"]["trial"]["coverage"] >= 0.95
    assert report["plan"]["trial"]["outside_scope"] == 0


def test_the_printed_recipe_is_what_peft_takes(call: Call, shallow: Callable[[str], str]) -> None:
    from peft import LoraConfig

    source = call("recipe", shallow(GEMMA), "--offline").stdout
    (call_node,) = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    config = LoraConfig(
        **{keyword.arg: ast.literal_eval(keyword.value) for keyword in call_node.keywords if keyword.arg}
    )
    assert config.target_modules


@pytest.mark.parametrize("source", ["no/such-model", "type:no_such_type", "./no-such-folder", "BROKEN", "LIST"])
@pytest.mark.parametrize("command", ["check", "recipe"])
def test_a_bad_source_is_a_line_and_exit_code_3(call: Call, tmp_path: Path, source: str, command: str) -> None:
    (tmp_path / "BROKEN").write_text("{")
    (tmp_path / "LIST").write_text("[]")
    if (tmp_path / source).is_file():
        source = str(tmp_path / source)
    result = call(command, source, "--offline", *(["--format", "concise"] if command == "check" else []))
    assert result.exit_code == 3
    assert "Traceback" not in result.output
    assert len(result.output.splitlines()) == 1


def test_the_libraries_are_not_heard(python: list[str], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        json.dumps({"model_type": "llama", "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4})
    )
    done = subprocess.run(
        [*python, str(tmp_path), "--format", "jsonl"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    (line,) = done.stdout.splitlines()
    assert json.loads(line)["reports"][0]["status"] == "clean"
