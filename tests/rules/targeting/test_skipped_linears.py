"""ARC503: linears that lose their adapters to fused experts of the same names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from archlint import Example
from archlint.core.finding import Severity
from archlint.rules.targeting.skipped_linears import SkippedLinears
from archlint.testing import examine, findings

NAMES = {"target_modules": ["q_proj", "w1", "w2", "w3"]}


def shared(model: Any) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad and "shared_expert" in name}


def test_peft_adapts_the_experts_and_not_the_linears_of_the_same_names(adapt: Callable[..., Any]) -> None:
    assert not shared(adapt("targeting.Experts", **NAMES))
    (finding,) = findings(SkippedLinears, Example("toy:targeting.Experts", plan=NAMES))
    assert finding.severity is Severity.WARNING
    (plan,) = (remedy.plan for remedy in finding.remedies if remedy.plan is not None)
    assert len(shared(adapt("targeting.Experts", **plan))) == 2 * 3 * 2


@pytest.mark.parametrize(
    ("model", "skipped"),
    [
        ("deepseek-ai/DeepSeek-V2-Lite", 3 + 26 * 3),
        ("zai-org/GLM-4.5-Air", 3 + 45 * 3),
        ("Qwen/Qwen3-Next-80B-A3B-Instruct", 48 * 3),
    ],
)
def test_all_linear_skips_dense_layers_and_shared_experts(model: str, skipped: int) -> None:
    example = Example(model, plan={"target_modules": "all-linear"})
    (finding,) = findings(SkippedLinears, example)
    assert finding.count == skipped
    (plan,) = (remedy.plan for remedy in finding.remedies if remedy.plan is not None)
    before, after = examine(example).plan, examine(Example(model, plan=plan)).plan
    assert before is not None
    assert after is not None
    assert len(after.adapted) == len(before.adapted) + skipped
    assert after.coverage > before.coverage


def test_experts_without_linears_of_their_names_lose_nothing() -> None:
    plan = {"target_modules": ["q_proj", "gate_proj", "up_proj", "down_proj"]}
    assert findings(SkippedLinears, Example("Qwen/Qwen3-30B-A3B", plan=plan)) == []


def test_layers_that_were_not_chosen_are_not_skipped() -> None:
    plan = {**NAMES, "layers_to_transform": [0], "layers_pattern": "layers"}
    (finding,) = findings(SkippedLinears, Example("toy:targeting.Experts", plan=plan))
    assert [fold.pattern for fold in finding.sites] == ["layers.0.mlp.shared_expert.{w1,w2,w3}"]
