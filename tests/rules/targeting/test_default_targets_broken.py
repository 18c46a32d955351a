"""ARC502: a default that PEFT has and does not find."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from archlint import Example
from archlint.core.finding import Severity
from archlint.rules.targeting.default_targets_broken import DefaultTargetsBroken
from archlint.rules.targeting.no_default_targets import NoDefaultTargets
from archlint.testing import findings


def test_peft_raises_where_its_own_table_has_the_names(adapt: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="No `target_modules` passed"):
        adapt("targeting.Experts")
    adapt("targeting.Experts", target_modules=["q_proj", "v_proj"])  # the names of the table


def test_a_broken_default_is_not_a_missing_one() -> None:
    example = Example("mistralai/Mixtral-8x7B-v0.1", plan={})
    (finding,) = findings(DefaultTargetsBroken, example)
    assert finding.severity is Severity.ERROR
    assert "q_proj, v_proj" in finding.message
    assert findings(NoDefaultTargets, example) == []


def test_a_default_that_works_is_silent() -> None:
    assert findings(DefaultTargetsBroken, Example("meta-llama/Llama-3.2-1B", plan={})) == []
