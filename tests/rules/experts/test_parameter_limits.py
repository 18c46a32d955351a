"""ARC305: what PEFT asks of a plan that adapts parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from archlint import Example
from archlint.core.finding import Severity
from archlint.rules.experts.parameter_limits import ParameterLimits
from archlint.testing import findings

EXPERTS = {"target_modules": ["q_proj"], "target_parameters": ["experts.down_proj"]}


@pytest.mark.parametrize("setting", [{"lora_dropout": 0.1}, {"use_dora": True}, {"lora_bias": True}])
def test_peft_refuses_the_setting_and_the_fixes_work(
    setting: dict[str, Any], adapt: Callable[..., Any], gradients: Callable[..., dict[str, bool]]
) -> None:
    plan = {**EXPERTS, **setting}
    with pytest.raises(ValueError, match="ParamWrapper does not work with"):
        adapt("experts.TopKMoe", **plan)
    (finding,) = findings(ParameterLimits, Example("toy:experts.TopKMoe", plan=plan))
    assert finding.severity is Severity.ERROR
    assert next(iter(setting)) in finding.message
    off, frozen = (remedy.plan for remedy in finding.remedies if remedy.plan is not None)
    got = gradients(adapt("experts.TopKMoe", **off))
    assert all(got.values())
    assert any(".experts." in name for name in got)
    assert frozen["target_modules"] == ["q_proj"]
    assert {key: frozen[key] for key in setting} == setting
    assert all(gradients(adapt("experts.TopKMoe", **frozen)).values())


def test_all_that_stands_in_the_way_is_turned_off_at_once() -> None:
    plan = {**EXPERTS, "lora_dropout": 0.1, "use_dora": True}
    (finding,) = findings(ParameterLimits, Example("toy:experts.TopKMoe", plan=plan))
    assert finding.remedies[0].value == {"lora_dropout": 0.0, "use_dora": False}


@pytest.mark.parametrize("targets", ["all-linear", ["q_proj", "gate_proj", "up_proj", "down_proj"]])
def test_names_that_peft_made_parameters_of(targets: Any) -> None:
    plan = {"target_modules": targets, "lora_dropout": 0.1}
    (finding,) = findings(ParameterLimits, Example("type:qwen3_moe", plan=plan))
    assert "which PEFT has made" in finding.message
    assert [fold.pattern for fold in finding.sites] == ["model.layers.{0..23}.mlp.experts.gate_up_proj"]
    kept = [remedy.value for remedy in finding.remedies if remedy.kind == "target_modules" and remedy.plan]
    assert kept == ([] if targets == "all-linear" else [["q_proj"]])


def test_a_layer_cannot_be_adapted_and_have_its_weight_adapted(adapt: Callable[..., Any]) -> None:
    plan = {"target_modules": ["q_proj"], "target_parameters": ["q_proj.weight"]}
    with pytest.raises(ValueError, match=r"not.*also targeted with `target_modules`"):
        adapt("projections.Dense", **plan)
    (finding,) = findings(ParameterLimits, Example("toy:projections.Dense", plan=plan))
    assert [fold.pattern for fold in finding.sites] == ["layers.{0,1}.q_proj"]


def test_the_same_settings_are_fine_where_no_parameter_is_adapted() -> None:
    plan = {"target_modules": ["q_proj"], "lora_dropout": 0.1, "use_dora": True}
    assert findings(ParameterLimits, Example("toy:experts.TopKMoe", plan=plan)) == []
