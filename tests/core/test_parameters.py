"""Which parameters a plan adapts, told by what PEFT did with it."""

from __future__ import annotations

from typing import Any

import pytest

from archlint import Example
from archlint.core.parameters import adapted_parameters
from archlint.testing import examine

STACK = "layers.1.mlp.experts.down_proj"
WEIGHT = "layers.1.self_attn.q_proj"


@pytest.mark.parametrize(
    ("model", "plan", "expected"),
    [
        ("toy:experts.TopKMoe", {"target_parameters": ["1.mlp.experts.down_proj"]}, {STACK: STACK}),
        ("toy:experts.TopKMoe", {"target_parameters": ["1.self_attn.q_proj.weight"]}, {WEIGHT: f"{WEIGHT}.weight"}),
        ("toy:experts.TopKMoe", {"target_modules": ["q_proj"]}, {}),
        (
            "toy:targeting.Experts",
            {"target_modules": ["q_proj", "w2"]},
            {path: path for path in (f"layers.{layer}.mlp.experts.down_proj" for layer in (0, 1))},
        ),
    ],
)
def test_the_sites_and_the_names_of_their_parameters(
    model: str, plan: dict[str, Any], expected: dict[str, str]
) -> None:
    trial = examine(Example(model, plan=plan)).plan
    assert trial is not None
    assert adapted_parameters(trial) == expected
