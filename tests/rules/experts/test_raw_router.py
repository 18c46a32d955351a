"""ARC302: a router with a bare weight."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from archlint import Example
from archlint.core.finding import Severity
from archlint.rules.experts.parameter_limits import ParameterLimits
from archlint.rules.experts.raw_router import RawRouter
from archlint.testing import findings

PLAN = {"target_modules": ["q_proj", "gate"], "lora_dropout": 0.1}


def test_peft_refuses_it_as_a_module(adapt: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=r"TopKRouter.*is not supported"):
        adapt("experts.TopKMoe", **PLAN)


def test_both_fixes_work(adapt: Callable[..., Any], gradients: Callable[..., dict[str, bool]]) -> None:
    (finding,) = findings(RawRouter, Example("toy:experts.TopKMoe", plan=PLAN))
    frozen, adapted = (remedy.plan for remedy in finding.remedies if remedy.plan is not None)
    got = gradients(adapt("experts.TopKMoe", **frozen))
    assert all(got.values())
    assert not any(".gate." in name for name in got)
    got = gradients(adapt("experts.TopKMoe", **adapted))
    assert all(got.values())
    assert sum(".gate.lora_" in name for name in got) == 4


@pytest.mark.parametrize(
    ("model", "experts"), [("Qwen/Qwen3-30B-A3B", 128), ("mistralai/Mixtral-8x7B-v0.1", 8), ("openai/gpt-oss-20b", 32)]
)
def test_published_routers(model: str, experts: int) -> None:
    (finding,) = findings(RawRouter, Example(model, plan={"target_modules": ["q_proj"]}))
    assert finding.severity is Severity.INFO
    assert f"among {experts} experts" in finding.message
    assert "frozen" in finding.message


def test_a_name_that_peft_turns_into_the_weight_is_no_error() -> None:
    plan = {"target_modules": ["q_proj", "gate"]}
    (finding,) = findings(RawRouter, Example("mistralai/Mixtral-8x7B-v0.1", plan=plan))
    assert finding.severity is Severity.INFO
    assert "PEFT adapts it" in finding.message


def test_a_router_at_which_peft_refuses_a_parameter_is_not_called_frozen() -> None:
    example = Example("type:mixtral", plan={"target_modules": ["q_proj", "gate"], "lora_dropout": 0.1})
    (refused,) = findings(ParameterLimits, example)
    assert "gate.weight as a parameter, which PEFT has made of a name" in refused.message
    (finding,) = findings(RawRouter, example)
    assert "PEFT takes it as one" in finding.message
