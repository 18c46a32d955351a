"""``archlint rules`` and ``archlint explain``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from archlint.core.catalog import Catalog

from .conftest import RULE, Call


def test_every_rule_has_a_line(call: Call) -> None:
    result = call("rules")
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == list(Catalog.load().rules)


def test_rules_for_programs(call: Call) -> None:
    entries = json.loads(call("rules", "--format", "json").stdout)
    assert {entry["code"]: entry["name"] for entry in entries} == {
        code: rule.name for code, rule in Catalog.load().rules.items()
    }


@pytest.mark.parametrize("word", ["ARC101", "arc101", "wrapped-linear"])
def test_a_rule_is_explained(call: Call, word: str) -> None:
    result = call("explain", word)
    assert result.exit_code == 0
    title, *_ = result.stdout.splitlines()
    assert title == "ARC101 wrapped-linear · error"
    for section in ("What it does", "Why it matters", "What to do"):
        assert f"\n\n{section}\n  " in result.stdout


def test_a_rule_is_explained_to_programs(call: Call) -> None:
    entry = json.loads(call("explain", "ARC101", "--format", "json").stdout)
    assert entry == next(e for e in json.loads(call("rules", "--format", "json").stdout) if e["code"] == "ARC101")


def test_loaded_rules_are_listed_and_explained(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(RULE)
    assert "MINE1" in call("rules", "--load", str(file)).stdout
    assert call("explain", "MINE1", "--load", str(file)).stdout == "MINE1 my-rule · info\n\nMine.\n"


def test_a_code_that_does_not_exist(call: Call) -> None:
    result = call("explain", "ARC1O1")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "error: no rule 'ARC1O1'. Did you mean ARC101?\nhint: archlint explain --help\n"


def test_an_explanation_shows_an_example_and_a_fix(call: Call) -> None:
    text = call("explain", "ARC101").stdout
    assert "\n\nExample\n  This\n\n      import archlint\n" in text
    assert "\n      error ARC101 wrapped-linear: ClampedLinear is no nn.Linear; PEFT refuses it\n" in text
    assert 'target_modules=r".*\\.q_proj\\.linear"' in text
    example = json.loads(call("explain", "ARC101", "--format", "json").stdout)["example"]
    assert example["says"] == "error ARC101 wrapped-linear: ClampedLinear is no nn.Linear; PEFT refuses it"


def test_pages_are_written_into_a_folder(call: Call, tmp_path: Path) -> None:
    done = call("rules", "--format", "markdown", "--output", str(tmp_path))
    assert (done.exit_code, done.stdout) == (0, "")
    assert {file.name for file in tmp_path.iterdir()} == {"README.md", *(f"{code}.md" for code in Catalog.load().rules)}
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == call("rules", "--format", "markdown").stdout
    page = (tmp_path / "ARC101.md").read_text(encoding="utf-8")
    assert page == call("explain", "ARC101", "--format", "markdown").stdout


def test_pages_of_loaded_rules(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(RULE)
    text = call("rules", "--format", "markdown", "--load", str(file)).stdout
    assert "| [MINE1](MINE1.md) | my-rule | info | Mine. |" in text


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--output", "{here}"], "--output writes pages: it goes with --format markdown."),
        (["--format", "json", "--output", "{here}"], "--output writes pages: it goes with --format markdown."),
        (["--format", "markdown", "--output", "{here}/no"], "the folder does not exist"),
        (["--format", "markdown", "--output", "{here}/file"], "is a file"),
    ],
)
def test_pages_that_cannot_be_written(call: Call, tmp_path: Path, arguments: list[str], why: str) -> None:
    (tmp_path / "file").touch()
    done = call("rules", *(argument.format(here=tmp_path) for argument in arguments))
    assert (done.exit_code, done.stdout) == (2, "")
    assert why in done.stderr
