"""ARC304: adapters on routers and gates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from archlint import Example
from archlint.core.finding import Severity
from archlint.rules.experts.gate_targeted import GateTargeted
from archlint.testing import findings


@pytest.mark.parametrize(("targets", "expected"), [(["gate"], Severity.INFO), ("all-linear", Severity.WARNING)])
def test_a_router_that_crashes_is_told_like_any_other(targets: Any, expected: Severity) -> None:
    (finding,) = findings(GateTargeted, Example("toy:experts.TupleLinearRouter", plan={"target_modules": targets}))
    assert finding.severity is expected, "the crash itself is ARC303"


def test_a_plain_router_is_trained(adapt: Callable[..., Any], gradients: Callable[..., dict[str, bool]]) -> None:
    got = gradients(adapt("experts.LinearRouter", target_modules=["gate"]))
    assert len(got) == 4
    assert all(got.values())


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        (["q_proj", "gate"], Severity.INFO),
        (["mlp.gate"], Severity.INFO),
        (r".*\.(q_proj|gate)", Severity.INFO),
        (r".*\.mlp\.g[^.]+", Severity.WARNING),
        ("all-linear", Severity.WARNING),
        (["q_proj"], None),
    ],
)
def test_it_depends_on_whether_the_plan_names_it(targets: Any, expected: Severity | None) -> None:
    found = findings(GateTargeted, Example("toy:experts.LinearRouter", plan={"target_modules": targets}))
    assert [finding.severity for finding in found] == ([expected] if expected else [])


def test_nobody_has_chosen_a_stock_plan_yet() -> None:
    (finding,) = findings(GateTargeted, Example("toy:experts.WithSharedExpert"))
    assert finding.severity is Severity.INFO
    assert [fold.pattern for fold in finding.sites] == ["layers.{0,1}.mlp.shared_expert_gate"]
    assert "weighs the shared expert" in finding.message


@pytest.mark.parametrize(
    ("targets", "expected"), [(["q_proj", "gate"], Severity.INFO), ("all-linear", Severity.WARNING)]
)
def test_a_router_that_peft_turned_into_its_weight_counts(targets: Any, expected: Severity) -> None:
    example = Example("mistralai/Mixtral-8x7B-v0.1", plan={"target_modules": targets})
    (finding,) = findings(GateTargeted, example)
    assert finding.severity is expected
    assert [fold.pattern for fold in finding.sites] == ["model.layers.{0..31}.mlp.gate.weight"]
