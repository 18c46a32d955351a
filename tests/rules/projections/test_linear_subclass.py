"""ARC102: what LoRA computes beside a forward of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from archlint import Example
from archlint.core.finding import Severity
from archlint.rules.projections.linear_subclass import LinearSubclass
from archlint.testing import examine, findings


def test_what_the_layer_does_to_its_product_does_not_hold_for_the_adapter(adapt: Callable[..., Any]) -> None:
    import torch

    layer = adapt("projections.Scaled", target_modules=["o_proj"]).base_model.model.layers[0].o_proj
    hidden = torch.randn(1, 3, layer.in_features)
    delta = layer.scaling["default"] * layer.lora_B["default"](layer.lora_A["default"](hidden))
    assert delta.abs().max() > 0
    torch.testing.assert_close(layer(hidden) - layer.base_layer(hidden), delta)


def test_an_adapter_on_a_layer_of_another_shape_crashes(
    adapt: Callable[..., Any], toy: Callable[[str], Any], gradients: Callable[..., dict[str, bool]]
) -> None:
    gradients(toy("projections.Grouped"))
    with pytest.raises(RuntimeError, match="shapes"):
        gradients(adapt("projections.Grouped", target_modules=["o_proj"]))


@pytest.mark.parametrize(
    ("targets", "severity"), [(["o_proj"], Severity.ERROR), (["q_proj"], Severity.INFO), ("all-linear", Severity.ERROR)]
)
def test_it_is_an_error_where_it_is_adapted_and_nothing_could_be_run(targets: Any, severity: Severity) -> None:
    blueprint = examine(Example("toy:projections.Grouped", plan={"target_modules": targets}))
    assert blueprint.plan is not None
    not_run = dataclasses.replace(blueprint.plan, forward="unavailable", crash=None)
    (finding,) = LinearSubclass().check(dataclasses.replace(blueprint, plan=not_run))
    assert finding.severity is severity


def test_a_tuner_that_could_not_be_run_is_no_proof_of_a_crash() -> None:
    blueprint = examine(Example("toy:projections.Grouped", plan={"target_modules": ["o_proj"]}))
    assert blueprint.plan is not None
    lack = "POLY takes task_ids in training, and no batch holds that"
    not_run = dataclasses.replace(blueprint.plan, forward="unavailable", crash=None, not_run=lack)
    (finding,) = LinearSubclass().check(dataclasses.replace(blueprint, plan=not_run))
    assert finding.severity is Severity.INFO


def test_what_was_run_says_itself_that_it_crashes() -> None:
    plan = {"target_modules": ["o_proj"]}
    (finding,) = findings(LinearSubclass, Example("toy:projections.Grouped", plan=plan))
    assert finding.severity is Severity.INFO


def test_a_layer_of_the_usual_shape_is_an_info_even_when_adapted() -> None:
    (finding,) = findings(LinearSubclass, Example("toy:projections.Scaled", plan={"target_modules": ["o_proj"]}))
    assert (finding.severity, finding.count) == (Severity.INFO, 2)
