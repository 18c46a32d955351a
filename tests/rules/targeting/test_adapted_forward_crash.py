"""ARC508: plans that PEFT takes and the model's code does not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from archlint import Example
from archlint.core.blueprint import Blueprint
from archlint.core.finding import Evidence, Location, Severity
from archlint.core.trial import Crash
from archlint.rules.targeting.adapted_forward_crash import AdaptedForwardCrash
from archlint.testing import examine, findings

MODEL = "toy:projections.Grouped"
QO = {"target_modules": ["q_proj", "o_proj"]}


def crashing(at: str | None, model: str = "toy:projections.Dense") -> Blueprint:
    """A toy whose run with a plan ended at ``at``, on a line of its code."""
    blueprint = examine(Example(model, plan=QO))
    assert blueprint.plan is not None
    crash = Crash("TypeError", "not a Linear", "own/modeling.py", 42, at)
    return dataclasses.replace(blueprint, plan=dataclasses.replace(blueprint.plan, forward="crashed", crash=crash))


def test_what_raises_in_training_is_told(
    adapt: Callable[..., Any], toy: Callable[[str], Any], gradients: Callable[..., dict[str, bool]]
) -> None:
    gradients(toy("projections.Grouped"))
    with pytest.raises(RuntimeError, match="shapes"):
        gradients(adapt("projections.Grouped", **QO))
    (finding,) = findings(AdaptedForwardCrash, Example(MODEL, plan=QO))
    assert (finding.severity, finding.evidence) == (Severity.ERROR, Evidence.FORWARDED)
    assert "an adapter on o_proj crashes the first training step: RuntimeError" in finding.message
    assert all(gradients(adapt("projections.Grouped", **finding.remedies[0].plan or {})).values())


def test_type_message_and_line_are_told_and_the_line_is_the_place_of_a_plain_linear() -> None:
    (finding,) = AdaptedForwardCrash().check(crashing("layers.0.o_proj.lora_A.default"))
    assert finding.message.endswith("TypeError: not a Linear (own/modeling.py:42)")
    assert finding.location == Location("own/modeling.py", 42)
    assert [fold.pattern for fold in finding.sites] == ["layers.{0,1}.o_proj"]


def test_a_crash_away_from_any_adapter_still_is_the_plans() -> None:
    (finding,) = AdaptedForwardCrash().check(crashing(None))
    assert finding.sites == ()
    assert "target_modules=['q_proj', 'o_proj']" in finding.message
    assert all(remedy.by_recipe for remedy in finding.remedies)


def test_plans_that_crash_alike_are_one_finding() -> None:
    (finding,) = findings(AdaptedForwardCrash, Example(MODEL))
    assert len(finding.proof) == 2


def test_a_tuple_is_told_by_its_own_rule() -> None:
    assert findings(AdaptedForwardCrash, Example("toy:experts.TupleLinearRouter")) == []
