"""ARC403: adapters on heads, and what is left of them after saving."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from peft import get_peft_model_state_dict

from archlint import Example
from archlint.core.finding import Severity
from archlint.rules.heads.head_targeted import HeadTargeted
from archlint.testing import findings

ADAPTED = {"target_modules": ["query", "classifier"]}


def test_the_adapters_file_does_not_hold_the_random_weight_of_an_adapted_classifier(adapt: Callable[..., Any]) -> None:
    stored = get_peft_model_state_dict(adapt("heads.classifier", **ADAPTED))
    assert {name.rsplit(".", 2)[1] for name in stored if "classifier" in name} == {"lora_A", "lora_B"}
    (finding,) = findings(HeadTargeted, Example("toy:heads.classifier", plan=ADAPTED))
    assert finding.severity is Severity.WARNING
    mended = get_peft_model_state_dict(adapt("heads.classifier", **finding.remedies[0].plan))
    assert {name.rpartition(".")[2] for name in mended if "classifier" in name} == {"weight", "bias"}


def test_a_task_type_that_saves_an_adapted_classifier_is_refused(adapt: Callable[..., Any]) -> None:
    plan = {"target_modules": "all-linear", "task_type": "TOKEN_CLS"}
    with pytest.raises(TypeError, match="modules_to_save cannot be applied"):
        adapt("heads.classifier", **plan)
    (finding,) = findings(HeadTargeted, Example("toy:heads.classifier", plan=plan))
    assert finding.severity is Severity.ERROR
    model = adapt("heads.classifier", **finding.remedies[0].plan)
    assert any("classifier.modules_to_save" in name for name, _ in model.named_parameters())


@pytest.mark.parametrize("targets", [["q_proj", "lm_head"], r".*(q_proj|lm_head)"])
def test_an_output_head_is_told_however_it_is_named(targets: Any) -> None:
    (finding,) = findings(HeadTargeted, Example("Qwen/Qwen3-8B", plan={"target_modules": targets}))
    assert finding.severity is Severity.WARNING
    assert [fold.pattern for fold in finding.sites] == ["lm_head"]
    kept = finding.remedies[0].plan
    assert findings(HeadTargeted, Example("Qwen/Qwen3-8B", plan=kept)) == []


def test_a_part_of_a_published_head_is_no_harm() -> None:
    (finding,) = findings(HeadTargeted, Example("google-bert/bert-base-uncased", plan={"target_modules": "all-linear"}))
    assert finding.severity is Severity.INFO
    assert [fold.pattern for fold in finding.sites] == ["cls.predictions.transform.dense"]


def test_replicated_layers_are_no_heads() -> None:
    plan = {"target_modules": ["q_proj"], "layer_replication": [[0, 32], [0, 1]]}
    assert findings(HeadTargeted, Example("type:llama", plan=plan)) == []
