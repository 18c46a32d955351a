"""ARC501: what PEFT has in its table, and what it has not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from archlint import Example
from archlint.core.finding import Severity
from archlint.rules.targeting.no_default_targets import NoDefaultTargets
from archlint.testing import findings


def test_peft_raises_without_targets(adapt: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="Please specify `target_modules`"):
        adapt("projections.Dense")
    adapt("targeting.Known")


@pytest.mark.parametrize("plan", [{}, {"r": 4}, {"modules_to_save": ["lm_head"]}])
def test_a_plan_that_relies_on_the_table_is_an_error(plan: dict[str, Any]) -> None:
    (finding,) = findings(NoDefaultTargets, Example("state-spaces/mamba-130m-hf", plan=plan))
    assert finding.severity is Severity.ERROR
    assert finding.message.endswith("for mamba")
    assert finding.remedies[0].by_recipe


def test_a_plan_with_targets_does_not_need_it() -> None:
    plan = {"target_modules": ["in_proj"]}
    assert findings(NoDefaultTargets, Example("state-spaces/mamba-130m-hf", plan=plan)) == []
