"""ARC203: a norm among the targets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from archlint import Example
from archlint.rules.experts.parameter_limits import ParameterLimits
from archlint.rules.norms.norm_targeted import NormTargeted
from archlint.testing import findings

PLANS: list[dict[str, Any]] = [
    {"target_modules": ["q_proj", "input_layernorm"]},
    {"target_modules": r".*\.(q_proj|input_layernorm)"},
    {"target_modules": ["q_proj", "input_layernorm"], "modules_to_save": ["k_proj"]},
]


@pytest.mark.parametrize("name", ["norms.CustomNorms", "norms.LibraryNorms"])
@pytest.mark.parametrize("plan", PLANS)
def test_peft_refuses_it_and_the_fix_trains_it(
    name: str, plan: dict[str, Any], adapt: Callable[..., Any], gradients: Callable[..., dict[str, bool]]
) -> None:
    with pytest.raises(ValueError, match=r"(?s)Norm.*is not supported"):
        adapt(name, **plan)
    (finding,) = findings(NormTargeted, Example(f"toy:{name}", plan=plan))
    fixed = finding.remedies[0].plan
    assert fixed is not None
    got = gradients(adapt(name, **fixed))
    assert all(got.values())
    assert any("input_layernorm.modules_to_save" in found for found in got)
    assert any("q_proj.lora_A" in found for found in got)
    assert ("k_proj.modules_to_save" in " ".join(got)) == ("modules_to_save" in plan)


def test_a_plan_of_norms_alone_can_only_be_replaced() -> None:
    (finding,) = findings(NormTargeted, Example("toy:norms.CustomNorms", plan={"target_modules": ["input_layernorm"]}))
    assert [remedy.by_recipe for remedy in finding.remedies] == [True]


def test_only_the_norms_that_the_plan_reaches_are_named() -> None:
    plan: dict[str, Any] = {"target_modules": ["q_proj", "q_norm"]}
    (finding,) = findings(NormTargeted, Example("Qwen/Qwen3-0.6B", plan=plan))
    assert [fold.pattern for fold in finding.sites] == ["model.layers.{0..27}.self_attn.q_norm"]


def test_the_weight_of_a_norm_among_the_parameters_is_another_rules_matter(adapt: Callable[..., Any]) -> None:
    plan: dict[str, Any] = {"target_modules": ["q_proj"], "target_parameters": ["input_layernorm.weight"]}
    with pytest.raises(ValueError, match="only 2d and 3d are supported"):
        adapt("norms.CustomNorms", **plan)
    assert findings(NormTargeted, Example("toy:norms.CustomNorms", plan=plan)) == []
    (finding,) = findings(ParameterLimits, Example("toy:norms.CustomNorms", plan=plan))
    assert finding.message.startswith("PEFT cannot adapt input_layernorm.weight as a parameter")
