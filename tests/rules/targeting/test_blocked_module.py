"""ARC505: names that PEFT refuses by the model type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from archlint import Example
from archlint.rules.targeting.blocked_module import BlockedModule
from archlint.testing import examine, findings


def test_peft_refuses_the_name_and_takes_the_fix(adapt: Callable[..., Any]) -> None:
    plan = {"target_modules": ["in_proj", "out_proj"]}
    with pytest.raises(ValueError, match="incompatible with Mamba-based models"):
        adapt("targeting.Blocked", **plan)
    (finding,) = findings(BlockedModule, Example("toy:targeting.Blocked", plan=plan))
    model = adapt("targeting.Blocked", **finding.remedies[0].plan)
    assert {name.split(".")[4] for name, _ in model.named_parameters() if "lora_A" in name} == {"in_proj"}


def test_every_blocked_name_is_told_though_peft_stops_at_the_first(shallow: Callable[[str], str]) -> None:
    plan = {"target_modules": ["in_proj", "out_proj", "conv1d", "q_proj"]}
    (finding,) = findings(BlockedModule, Example(shallow("tiiuae/Falcon-H1-0.5B-Instruct"), plan=plan))
    assert {fold.pattern.rpartition(".")[2] for fold in finding.sites} == {"out_proj", "conv1d"}
    assert finding.remedies[0].value == ["in_proj", "q_proj"]


def test_all_linear_keeps_the_rest(shallow: Callable[[str], str]) -> None:
    model = shallow("state-spaces/mamba-130m-hf")
    (finding,) = findings(BlockedModule, Example(model))
    trial = examine(Example(model, plan=finding.remedies[0].plan)).plan
    assert trial is not None
    assert trial.raised is None
    assert {path.rpartition(".")[2] for path in trial.adapted} == {"in_proj", "x_proj", "dt_proj"}


def test_the_same_name_elsewhere_is_free() -> None:
    plan = {"target_modules": ["out_proj"]}
    assert findings(BlockedModule, Example("facebook/opt-1.3b", plan=plan)) == []
