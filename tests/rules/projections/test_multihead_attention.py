"""ARC106: which adapters in torch's attention take part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from archlint import Example
from archlint.core.finding import Severity
from archlint.rules.projections.multihead_attention import MultiheadAttention
from archlint.testing import findings


@pytest.mark.parametrize("targets", ["all-linear", ["q_proj", "out_proj"], ["pool", "q_proj", "out_proj"]])
def test_an_adapter_on_out_proj_alone_gets_no_gradient(
    targets: Any, adapt: Callable[..., Any], gradients: Callable[..., dict[str, bool]]
) -> None:
    got = gradients(adapt("projections.Pooled", target_modules=targets))
    dead = {name for name, lives in got.items() if not lives}
    assert dead == {f"pool.out_proj.lora_{side}.default.weight" for side in "AB"}
    (finding,) = findings(MultiheadAttention, Example("toy:projections.Pooled", plan={"target_modules": targets}))
    assert finding.severity is Severity.WARNING
    assert [fold.pattern for fold in finding.sites] == ["pool.out_proj"]


def test_by_the_name_of_the_module_both_projections_are_trained(
    adapt: Callable[..., Any], gradients: Callable[..., dict[str, bool]]
) -> None:
    got = gradients(adapt("projections.Pooled", target_modules=["pool"]))
    assert len(got) == 4
    assert all(got.values())
    (finding,) = findings(MultiheadAttention, Example("toy:projections.Pooled", plan={"target_modules": ["pool"]}))
    assert finding.severity is Severity.INFO
