"""The pages on the rules: made from the rules, up to date, with an example that says what archlint says."""

from __future__ import annotations

import dataclasses
import inspect
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from archlint import Example, Rule
from archlint.cli.app import app
from archlint.core.catalog import Catalog
from archlint.core.finding import Remedy, Severity
from archlint.report import rule_pages
from archlint.report.rule_examples import illustrated, shown
from archlint.rules.projections.multihead_attention import MultiheadAttention
from archlint.rules.saving.renamed_weights import RenamedWeights
from archlint.testing import problems

FOLDER = Path(__file__).parents[2] / "docs" / "rules"
RULES = {code: rule for code, rule in Catalog.load().rules.items() if rule.__module__.startswith("archlint.rules.")}
PAGES = rule_pages.documents(list(map(illustrated, RULES.values())))
each_rule = pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.code)
written = pytest.mark.skipif(not FOLDER.is_dir(), reason="the documents are not installed")


OWN = """
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

class Config(PretrainedConfig):
    model_type = "own"

class Model(PreTrainedModel):
    config_class = Config

    def __init__(self, config):
        super().__init__(config)
        self.q_proj = nn.Linear(8, 8)
"""


@written
def test_there_is_a_page_for_each_rule_and_no_other() -> None:
    assert {file.name for file in FOLDER.iterdir()} == set(PAGES)


@written
@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_what_the_rule_says(name: str) -> None:
    stale = "stale: python -m archlint rules --format markdown --output docs/rules"
    assert (FOLDER / name).read_text(encoding="utf-8") == PAGES[name], stale


@each_rule
def test_a_page_has_an_example_and_a_fix(rule: type[Rule]) -> None:
    example = shown(rule)
    if example is None:
        assert blocks(rule)
    else:
        assert example.says.startswith(tuple(severity.value for severity in Severity))
        assert example.fix or example.says.startswith("info")
        assert "..." not in example.model


def blocks(rule: type[Rule]) -> list[str]:
    """The indented blocks of a docstring's example."""
    section = rule.documentation().sections["Example"]
    found: list[str] = re.findall(r"(?:^    .*\n|^\n(?=    ))+", section, flags=re.MULTILINE)
    return [inspect.cleandoc(block.strip("\n")) for block in found]


def said(output: str, expected: str) -> bool:
    pattern = ".*".join(map(re.escape, expected.split("…")))
    return any(re.fullmatch(pattern, line) for line in output.splitlines())


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """What a command prints in a folder of its own, offline."""
    monkeypatch.chdir(tmp_path)

    def run(command: str) -> str:
        name, *arguments = shlex.split(command)
        assert name == "archlint"
        return CliRunner().invoke(app, [*arguments, "--offline"], prog_name=name).stdout

    return run


def test_the_example_of_what_cannot_be_loaded(output: Callable[[str], str]) -> None:
    command, line = blocks(RULES["ARC902"])
    assert said(output(command), line)


def test_the_example_of_custom_code(output: Callable[[str], str], tmp_path: Path) -> None:
    config, command, line = blocks(RULES["ARC901"])
    (tmp_path / "my-model").mkdir()
    (tmp_path / "my-model" / "own.py").write_text(OWN)
    (tmp_path / "my-model" / "config.json").write_text(config)
    assert said(output(command), line)


def test_the_example_of_a_rule_that_crashes(output: Callable[[str], str], tmp_path: Path) -> None:
    code, command, line = blocks(RULES["ARC999"])
    (tmp_path / "broken.py").write_text(code)
    assert said(output(command), line)


def test_the_example_of_what_cannot_be_run(capsys: pytest.CaptureFixture[str]) -> None:
    code, line = blocks(RULES["ARC903"])
    exec(code, {"__name__": "example"})
    assert said(capsys.readouterr().out, line)


def test_the_example_of_an_adapter_is_one_of_the_rule_s_own() -> None:
    _, line = blocks(RenamedWeights)
    assert line in [example.says for example in RenamedWeights.fires]


@pytest.mark.parametrize("code", ["ARC101", "ARC505", "ARC704"])
def test_the_code_of_an_example_prints_what_it_says(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    example = shown(RULES[code])
    assert example is not None
    exec(example.code, {})
    assert said(capsys.readouterr().out, example.says)


@pytest.mark.parametrize(
    "changes",
    [
        {"says": "something else"},
        {"says": "an adapter on out_proj"},
        {"fix": Remedy("exclude_modules", "leave out_proj out", ["q_proj"])},
        {"fix": Remedy("exclude_modules", "leave it out", ["out_proj"])},
    ],
)
def test_an_example_that_shows_something_else_is_a_problem(
    changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    example = dataclasses.replace(MultiheadAttention.fires[0], says="an adapter on … is read")
    monkeypatch.setattr(MultiheadAttention, "silent", ())
    monkeypatch.setattr(MultiheadAttention, "fires", (example,))
    assert list(problems(MultiheadAttention)) == []
    monkeypatch.setattr(MultiheadAttention, "fires", (dataclasses.replace(example, **changes),))
    assert len(list(problems(MultiheadAttention))) == 1


def test_an_example_that_is_milder_than_its_page_says_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    info = Example("toy:projections.Pooled", plan={"target_modules": ["pool"]}, says="PEFT adapts …")
    monkeypatch.setattr(MultiheadAttention, "fires", (info,))
    assert len(list(problems(MultiheadAttention))) == 1
    monkeypatch.setattr(MultiheadAttention, "fires", (dataclasses.replace(info, severity=Severity.INFO),))
    assert list(problems(MultiheadAttention)) == []


def test_an_example_of_a_source_is_shown_by_its_name() -> None:
    class Mine(MultiheadAttention):
        fires = (Example("type:llama", plan={"target_modules": ["a" * 40, "b" * 40]}, says="so"),)

    example = shown(Mine)
    assert example is not None
    assert example.model == ""
    assert example.code == (
        "import archlint\n"
        "from peft import LoraConfig\n\n"
        "plan = LoraConfig(\n"
        "    target_modules=[\n"
        f'        "{"a" * 40}",\n'
        f'        "{"b" * 40}",\n'
        "    ],\n"
        ")\n"
        'print(archlint.check_plan("type:llama", plan))'
    )
