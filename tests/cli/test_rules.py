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
