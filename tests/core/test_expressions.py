"""Expressions of strangers match what they mean, and take no longer than any that is meant."""

from __future__ import annotations

import pytest

from archlint.core import expressions
from archlint.core.expressions import matched

NAMES = ["model.layers.0.self_attn.q_proj", "model.layers.0.mlp.down_proj", "lm_head"]


def test_names_are_matched_in_full() -> None:
    assert matched(r".*\.(q|down)_proj", NAMES) == NAMES[:2]
    assert matched("head", NAMES) == []


@pytest.mark.parametrize("expression", ["[", "*", "a{4294967296}", "(" * 2000 + ")" * 2000])
def test_what_is_none_matches_nothing(expression: str) -> None:
    assert matched(expression, NAMES) == []


def test_one_that_takes_for_ever_matches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expressions, "MAX_SECONDS", 0.05)
    assert matched(r"(\w+\.?)+!", [*NAMES, "a" * 60]) == []
