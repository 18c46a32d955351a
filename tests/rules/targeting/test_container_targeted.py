"""ARC511: modules that only hold others."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archlint import Example
from archlint.core.finding import Severity
from archlint.rules.targeting.container_targeted import ContainerTargeted
from archlint.testing import findings


@pytest.mark.parametrize("targets", [["self_attn"], r"layers\.\d+\..*"])
def test_peft_does_not_go_inside_and_the_names_inside_work(adapt: Callable[..., Any], targets: Any) -> None:
    with pytest.raises(ValueError, match=r"(?s)Target module .* is not supported"):
        adapt("targeting.Hybrid", target_modules=targets)
    (finding,) = findings(ContainerTargeted, Example("toy:targeting.Hybrid", plan={"target_modules": targets}))
    model = adapt("targeting.Hybrid", **finding.remedies[0].plan)
    adapted = [name for name, _ in model.named_parameters() if "lora_A" in name]
    assert sum(".self_attn." in name for name in adapted) == 4


def test_other_names_of_the_list_stay() -> None:
    plan = {"target_modules": ["in_proj", "self_attn"]}
    (finding,) = findings(ContainerTargeted, Example("toy:targeting.Hybrid", plan=plan))
    assert finding.remedies[0].value == ["in_proj", "q_proj", "k_proj", "v_proj", "o_proj"]


def test_digits_reach_the_layers_of_every_stack() -> None:
    (finding,) = findings(ContainerTargeted, Example("llava-hf/llava-1.5-7b-hf", plan={"target_modules": ["0", "2"]}))
    assert finding.severity is Severity.ERROR
    assert {fold.type for fold in finding.sites} == {"CLIPEncoderLayer", "LlamaDecoderLayer"}


def test_all_linear_may_become_digits(tmp_path: Path) -> None:
    config = {
        "model_type": "qwen3_omni_moe_thinker",
        "text_config": {"num_hidden_layers": 1, "num_experts": 4},
        "vision_config": {"depth": 1},
        "audio_config": {"encoder_layers": 1},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    (finding,) = findings(ContainerTargeted, Example(str(tmp_path)))
    assert finding.severity is Severity.ERROR
    assert finding.message.startswith("what PEFT makes of all-linear, 0, 2")


def test_a_name_that_linears_have_as_well_is_mixed() -> None:
    plan = {"target_modules": ["dense"]}
    assert findings(ContainerTargeted, Example("toy:targeting.Mixed", plan=plan)) == []
