"""ARC107: a layer of a class that PEFT does not know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from archlint import Example
from archlint.rules.projections.unsupported_projection import UnsupportedProjection
from archlint.testing import findings

PLAN = {"target_modules": ["q_proj", "out"], "lora_dropout": 0.1}


def test_peft_refuses_it(adapt: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=r"OwnLinear.*is not supported"):
        adapt("projections.Unsupported", **PLAN)


def test_its_matrix_is_trained_as_a_parameter(
    adapt: Callable[..., Any], gradients: Callable[..., dict[str, bool]]
) -> None:
    (finding,) = findings(UnsupportedProjection, Example("toy:projections.Unsupported", plan=PLAN))
    (remedy,) = (remedy for remedy in finding.remedies if remedy.kind == "target_parameters")
    assert remedy.plan is not None
    assert remedy.plan["target_modules"] == ["q_proj"]
    got = gradients(adapt("projections.Unsupported", **remedy.plan))
    assert {name for name in got if name.startswith("out.")} == {f"out.lora_{side}.default.weight" for side in "AB"}
    assert all(got.values())


@pytest.mark.parametrize("targets", [["q_proj"], "all-linear"])
def test_a_plan_that_does_not_reach_it_is_fine(targets: Any) -> None:
    example = Example("toy:projections.Unsupported", plan={"target_modules": targets})
    assert findings(UnsupportedProjection, example) == []
