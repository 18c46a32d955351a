"""ARC517: who wrote the many names."""

from __future__ import annotations

import dataclasses

from archlint import Example
from archlint.rules.targeting.roundabout_targets import RoundaboutTargets
from archlint.testing import examine


def test_names_that_a_tool_made_of_one_word_are_not_the_users() -> None:
    blueprint = examine(
        Example("toy:projections.Dense", plan={"target_modules": ["layers.0.q_proj", "layers.1.q_proj"]})
    )
    assert blueprint.plan is not None
    assert len(list(RoundaboutTargets().check(blueprint))) == 1
    made = dataclasses.replace(blueprint.plan, plan=dataclasses.replace(blueprint.plan.plan, means_all=True))
    assert list(RoundaboutTargets().check(dataclasses.replace(blueprint, plan=made))) == []
