"""ARC109: plans that land in the base model's own low-rank layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from archlint import Example
from archlint.core.finding import Severity
from archlint.rules.projections.built_in_adapter import BuiltInAdapter
from archlint.testing import findings


def test_all_linear_adapts_inside_the_low_rank_branch(adapt: Callable[..., Any]) -> None:
    model = adapt("projections.BuiltInAdapter", target_modules="all-linear")
    inside = [name for name in model.base_model.targeted_module_names if ".lora_" in name]
    assert len(inside) == 4
    (finding,) = findings(BuiltInAdapter, Example("toy:projections.BuiltInAdapter"))
    assert (finding.severity, finding.count) == (Severity.WARNING, 4)
    assert "adapters on 4 of them" in finding.message


def test_the_layer_beside_the_branch_may_be_adapted() -> None:
    plan = {"target_modules": ["base"]}
    (finding,) = findings(BuiltInAdapter, Example("toy:projections.BuiltInAdapter", plan=plan))
    assert finding.severity is Severity.INFO


def test_the_branch_itself_stays_frozen_and_is_not_saved(adapt: Callable[..., Any]) -> None:
    from peft import get_peft_model_state_dict

    model = adapt("projections.BuiltInAdapter", target_modules=["base"])
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert len(trained) == 4
    assert not any("lora_down" in name or "lora_up" in name for name in (*trained, *get_peft_model_state_dict(model)))
