"""ARC103: PEFT adapts ``Conv1D`` and turns its weight round by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from archlint import Example
from archlint.core.finding import Evidence
from archlint.rules.projections.conv1d_projection import Conv1dProjection
from archlint.testing import findings


def test_peft_sets_fan_in_fan_out(adapt: Callable[..., Any], gradients: Callable[..., dict[str, bool]]) -> None:
    with pytest.warns(UserWarning, match="Setting fan_in_fan_out to True"):
        model = adapt("projections.Transposed", target_modules=["c_attn"])
    assert model.peft_config["default"].fan_in_fan_out
    assert all(gradients(model).values())


@pytest.mark.parametrize(("targets", "evidence"), [("all-linear", Evidence.INJECTED), ("nothing", Evidence.STATIC)])
def test_the_evidence_is_what_was_tried(targets: str, evidence: Evidence) -> None:
    (finding,) = findings(Conv1dProjection, Example("toy:projections.Transposed", plan={"target_modules": targets}))
    assert finding.evidence is evidence
