"""ARC516: ranks beyond the weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from archlint import Example
from archlint.core.finding import Severity
from archlint.rules.targeting.oversized_rank import OversizedRank
from archlint.testing import examine, findings


@pytest.mark.parametrize(("rank", "severity"), [(12, Severity.INFO), (200, Severity.WARNING)])
def test_an_adapter_larger_than_the_model_is_a_warning(
    adapt: Callable[..., Any], rank: int, severity: Severity
) -> None:
    example = Example("toy:projections.Dense", plan={"target_modules": ["q_proj"], "r": rank})
    trained, total = adapt("projections.Dense", **example.plan).get_nb_trainable_parameters()
    (finding,) = findings(OversizedRank, example)
    assert finding.severity is severity
    assert (trained > total - trained) == (severity is Severity.WARNING)
    assert finding.remedies[0].plan is not None
    mended = examine(Example("toy:projections.Dense", plan=finding.remedies[0].plan)).plan
    assert mended is not None
    assert mended.trainable < total - trained


def test_a_parameter_is_keyed_with_its_module(adapt: Callable[..., Any]) -> None:
    plan: dict[str, Any] = {"target_modules": ["q_proj"], "target_parameters": ["gate.weight"], "r": 8}
    (finding,) = findings(OversizedRank, Example("toy:experts.TopKMoe", plan=plan))
    assert finding.remedies[0].value == {"rank_pattern": {"gate.weight": 4}}
    parameters = adapt("experts.TopKMoe", **finding.remedies[0].plan).named_parameters()
    assert {weight.shape[0] for name, weight in parameters if "gate.lora_A" in name} == {4}
