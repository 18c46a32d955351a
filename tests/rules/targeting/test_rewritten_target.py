"""ARC512: names that become parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from archlint import Example
from archlint.rules.targeting.rewritten_target import RewrittenTarget
from archlint.testing import findings

PLAN = {"target_modules": ["q_proj", "w1", "w2", "w3"], "r": 2}


def test_two_names_in_one_parameter_have_twice_the_rank(adapt: Callable[..., Any]) -> None:
    parameters = dict(adapt("targeting.Experts", **PLAN).named_parameters())
    ranks = {
        name: parameter.shape[0]
        for name, parameter in parameters.items()
        if "0.mlp.experts" in name and "lora_A" in name
    }
    assert sorted(ranks.values()) == [2 * 4, 2 * 2 * 4], "four experts, and gate and up in one"
    (finding,) = findings(RewrittenTarget, Example("toy:targeting.Experts", plan=PLAN))
    assert finding.message == "PEFT turns w1, w2, w3 into the parameters down_proj, gate_up_proj"
    assert finding.count == 4


def test_a_name_that_stays_is_not_among_them() -> None:
    plan: dict[str, Any] = {"target_modules": ["q_proj", "gate"]}
    (finding,) = findings(RewrittenTarget, Example("Qwen/Qwen3-30B-A3B", plan=plan))
    assert finding.message == "PEFT turns gate into the parameters gate.weight"


def test_a_model_that_peft_does_not_convert() -> None:
    plan: dict[str, Any] = {"target_modules": ["q_proj", "gate_proj", "up_proj", "down_proj"]}
    assert findings(RewrittenTarget, Example("meta-llama/Llama-3.2-1B", plan=plan)) == []


def test_an_expression_is_told_as_it_is() -> None:
    plan: dict[str, Any] = {"target_modules": r".*\.(q_proj|w1|w2|w3)"}
    (finding,) = findings(RewrittenTarget, Example("toy:targeting.Experts", plan=plan))
    assert finding.message == r"PEFT turns .*\.(q_proj|w1|w2|w3) into the parameters down_proj, gate_up_proj"
