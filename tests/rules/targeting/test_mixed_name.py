"""ARC506: one name, two sorts of modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from archlint import Example
from archlint.rules.targeting.container_targeted import ContainerTargeted
from archlint.rules.targeting.mixed_name import MixedName
from archlint.testing import findings

EXAMPLE = Example("toy:targeting.Mixed", plan={"target_modules": ["dense"]})


def test_peft_stops_at_the_namesake_and_the_longer_names_reach_every_layer(adapt: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=r"(?s)ModuleDict.*is not supported"):
        adapt("targeting.Mixed", target_modules=["dense"])
    (finding,) = findings(MixedName, EXAMPLE)
    model = adapt("targeting.Mixed", **finding.remedies[0].plan)
    adapted = [name for name, _ in model.named_parameters() if "lora_A" in name]
    assert sum(".attention.dense." in name for name in adapted) == 2
    assert sum(".feed_forward.dense.dense." in name for name in adapted) == 2


def test_other_names_of_the_list_stay() -> None:
    plan = {"target_modules": ["query_key", "value", "dense"]}
    (finding,) = findings(MixedName, Example("type:reformer", plan=plan))
    assert finding.remedies[0].value[:2] == ["query_key", "value"]
    assert findings(MixedName, Example("type:reformer", plan=finding.remedies[0].plan)) == []


def test_a_mixed_name_is_no_container_besides() -> None:
    assert findings(ContainerTargeted, EXAMPLE) == []
