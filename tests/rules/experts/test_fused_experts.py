"""ARC301: what reaches stacked experts, and what only seems to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from archlint import Example
from archlint.core.finding import Severity
from archlint.rules.experts.fused_experts import FusedExperts
from archlint.testing import findings

NAMES = ["gate_proj", "up_proj", "down_proj"]


def severity(model: str, **plan: Any) -> Severity:
    (finding,) = findings(FusedExperts, Example(model, plan=plan))
    return finding.severity


@pytest.mark.parametrize("targets", ["all-linear", ["q_proj", *NAMES]])
@pytest.mark.parametrize("name", ["experts.TopKMoe", "experts.WithSharedExpert", "experts.DenseFirst"])
def test_names_of_modules_leave_the_experts_frozen(
    name: str, targets: Any, adapt: Callable[..., Any], gradients: Callable[..., dict[str, bool]]
) -> None:
    got = gradients(adapt(name, target_modules=targets))
    assert got
    assert not any(".experts." in found for found in got)
    assert severity(f"toy:{name}", target_modules=targets) is Severity.WARNING


def test_the_fix_trains_them(adapt: Callable[..., Any], gradients: Callable[..., dict[str, bool]]) -> None:
    example = Example("toy:experts.TopKMoe", plan={"target_modules": "all-linear", "lora_dropout": 0.1})
    (finding,) = findings(FusedExperts, example)
    fix = finding.remedies[0]
    assert fix.plan is not None
    assert "without lora_dropout" in fix.text
    got = gradients(adapt("experts.TopKMoe", **fix.plan))
    assert sum(".experts." in found for found in got) == 8
    assert all(got.values())


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        ({"target_modules": ["q_proj", "v_proj"]}, Severity.INFO),
        ({"target_modules": r".*\.self_attn\..*"}, Severity.INFO),
        ({"target_modules": r".*\.mlp\.shared_expert\..*"}, Severity.WARNING),
        ({"target_modules": ["q_proj"], "target_parameters": ["experts.down_proj"]}, Severity.INFO),
        ({"target_modules": "all-linear", "target_parameters": ["1.mlp.experts.down_proj"]}, Severity.INFO),
        ({"target_modules": ["q_proj"], "target_parameters": ["experts.up_proj"]}, Severity.WARNING),
        ({"target_modules": ["q_proj", "gate"]}, Severity.INFO),
        ({"target_modules": ["q_proj", "experts"]}, Severity.ERROR),
    ],
)
def test_it_depends_on_whether_the_plan_means_the_experts(plan: dict[str, Any], expected: Severity) -> None:
    assert severity("toy:experts.WithSharedExpert", **plan) is expected


def test_dense_layers_in_the_same_place_are_not_the_experts() -> None:
    plan = {"target_modules": r"layers\.\d+\.mlp\.\w+_proj"}
    (finding,) = findings(FusedExperts, Example("toy:experts.DenseFirst", plan=plan))
    assert finding.severity is Severity.WARNING
    assert [fold.pattern for fold in finding.sites] == ["layers.1.mlp.experts.{gate_up,down}_proj"]


@pytest.mark.parametrize(
    ("targets", "expected"),
    [(["q_proj", *NAMES], Severity.INFO), (["q_proj", "down_proj"], Severity.INFO), (["gate_proj"], Severity.ERROR)],
)
def test_where_peft_turns_names_into_parameters(targets: list[str], expected: Severity) -> None:
    (finding,) = findings(FusedExperts, Example("type:qwen3_moe", plan={"target_modules": targets}))
    assert finding.severity is expected
    if expected is Severity.ERROR:
        assert finding.remedies[0].value == ["gate_proj", "up_proj"]


def test_the_stock_plans_that_miss_them_are_named() -> None:
    (finding,) = findings(FusedExperts, Example("toy:experts.TopKMoe"))
    assert "left frozen by all-linear, name-list" in finding.message


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (r".*\.(q_proj|v_proj|gate_proj|up_proj|down_proj)", Severity.WARNING),
        (r".*\.(q|v|up|down)_proj", Severity.WARNING),
        (r".*self_attn\.(q|v)_proj", Severity.INFO),
        (r".*\.(q_proj|v_proj)", Severity.INFO),
    ],
)
def test_an_expression_with_the_names_of_separate_experts_means_them(
    adapt: Callable[..., Any], expression: str, expected: Severity
) -> None:
    trained = [name for name, _ in adapt("experts.TopKMoe", target_modules=expression).named_parameters()]
    assert not any("lora_" in name and ".experts." in name for name in trained)
    assert severity("toy:experts.TopKMoe", target_modules=expression) is expected
