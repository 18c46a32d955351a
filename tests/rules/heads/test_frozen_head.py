"""ARC404: a random head that nobody trains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from archlint import Example
from archlint.core.finding import Severity
from archlint.rules.heads.frozen_head import FrozenHead
from archlint.testing import findings

PLAN = {"target_modules": ["query", "value"]}


def trained(model: Any) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad and "classifier" in name}


def test_peft_freezes_the_head_until_it_is_told_to_save_it(adapt: Callable[..., Any]) -> None:
    assert not trained(adapt("heads.classifier", **PLAN))
    (finding,) = findings(FrozenHead, Example("toy:heads.classifier", plan=PLAN))
    assert finding.severity is Severity.WARNING
    (remedy,) = finding.remedies
    assert remedy.plan == {**PLAN, "modules_to_save": ["classifier"]}
    assert len(trained(adapt("heads.classifier", **remedy.plan))) == 2


@pytest.mark.parametrize("task_type", ["SEQ_CLS", "TOKEN_CLS"])
def test_a_task_type_with_a_head_trains_it(adapt: Callable[..., Any], task_type: str) -> None:
    plan = {**PLAN, "task_type": task_type}
    assert len(trained(adapt("heads.classifier", **plan))) == 2
    assert findings(FrozenHead, Example("toy:heads.classifier", plan=plan)) == []


def test_another_task_type_does_not(adapt: Callable[..., Any]) -> None:
    plan = {**PLAN, "task_type": "FEATURE_EXTRACTION"}
    assert not trained(adapt("heads.classifier", **plan))
    assert len(findings(FrozenHead, Example("toy:heads.classifier", plan=plan))) == 1


def test_the_head_of_a_language_model_comes_with_its_weights() -> None:
    plan = {"target_modules": ["query"]}
    assert findings(FrozenHead, Example("google-bert/bert-base-uncased", plan=plan)) == []
    assert findings(FrozenHead, Example("meta-llama/Llama-3.2-1B", plan={"target_modules": ["q_proj"]})) == []
