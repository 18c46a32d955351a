"""ARC509: names that only a part of the layers has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from archlint import Example
from archlint.core.finding import Severity
from archlint.rules.targeting.partial_target import PartialTarget
from archlint.testing import examine, findings

LIST = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@pytest.mark.parametrize(
    ("model", "share"),
    [("Qwen/Qwen3.5-27B", "2 of 8"), ("ai21labs/Jamba-v0.1", "1 of 8"), ("Qwen/Qwen3.5-35B-A3B", "2 of 8")],
)
def test_attention_of_a_few_layers(shallow: Callable[[str], str], model: str, share: str) -> None:
    (finding,) = findings(PartialTarget, Example(shallow(model), plan={"target_modules": LIST}))
    assert finding.severity is Severity.WARNING
    assert share in finding.message
    (stock,) = findings(PartialTarget, Example(shallow(model)))
    assert stock.severity is Severity.INFO


def test_the_fix_reaches_the_other_mixers(shallow: Callable[[str], str]) -> None:
    example = Example(shallow("Qwen/Qwen3.5-27B"), plan={"target_modules": LIST})
    (finding,) = findings(PartialTarget, example)
    trial = examine(Example(example.model, plan=finding.remedies[0].plan)).plan
    assert trial is not None
    assert (trial.coverage, trial.outside) == (1.0, 0)


@pytest.mark.parametrize(
    ("model", "plan"),
    [
        pytest.param("google/gemma-4-E2B-it", {"target_modules": LIST}, id="layers that share keys have none"),
        pytest.param("meta-llama/Llama-3.1-8B-Instruct", {"target_modules": LIST}, id="all layers are alike"),
        pytest.param(
            "meta-llama/Llama-3.2-11B-Vision-Instruct",
            {"target_modules": r".*language_model.*self_attn\.(q|k|v|o)_proj"},
            id="an expression is a choice",
        ),
        pytest.param(
            "meta-llama/Llama-3.1-8B-Instruct", {"target_modules": ["model.layers.0.self_attn.q_proj"]}, id="a path"
        ),
        pytest.param("deepseek-ai/DeepSeek-V2-Lite", {"target_modules": ["gate_proj"]}, id="experts are not linears"),
        pytest.param("google-t5/t5-small", {"target_modules": ["q", "v"]}, id="encoder and decoder"),
    ],
)
def test_no_alarm(model: str, plan: dict[str, Any]) -> None:
    assert findings(PartialTarget, Example(model, plan=plan)) == []


def test_no_alarm_where_layers_are_chosen(shallow: Callable[[str], str]) -> None:
    plan = {"target_modules": ["q_proj"], "layers_to_transform": [3]}
    assert findings(PartialTarget, Example(shallow("Qwen/Qwen3.5-27B"), plan=plan)) == []
