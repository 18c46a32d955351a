"""What a plan asks for."""

from __future__ import annotations

import pytest

from archlint.core.trial import Entry, Plan, Refusal, Trial


@pytest.mark.parametrize(
    ("lora", "says_all", "is_default"),
    [
        ({}, False, True),
        ({"r": 8}, False, True),
        ({"target_modules": None}, False, True),
        ({"target_modules": "all-linear"}, True, False),
        ({"target_modules": "ALL-LINEAR"}, True, False),
        ({"target_modules": ["all-linear"]}, False, False),
        ({"target_modules": ["q_proj"]}, False, False),
        ({"target_parameters": ["experts.up"]}, False, False),
    ],
)
def test_a_plan_knows_what_it_asks_for(lora: dict[str, object], says_all: bool, is_default: bool) -> None:
    plan = Plan("plan", lora)
    assert (plan.says_all, plan.is_default) == (says_all, is_default)


def test_an_entry_is_found_by_setting_and_value() -> None:
    entries = (Entry("target_modules", "q", ("a.q",)), Entry("exclude_modules", "q", ("b.q",)))
    trial = Trial(Plan("plan"), entries=entries)
    assert trial.reached_by("target_modules", "q") == ("a.q",)
    assert trial.reached_by("exclude_modules", "q") == ("b.q",)
    assert trial.reached_by("target_modules", "k") == ()


@pytest.mark.parametrize(
    ("raised", "refuses"),
    [
        (None, {"b.norm": False, "c.norm": False, "d.norm": False}),
        (Refusal("ValueError", "no task type"), {"b.norm": False, "c.norm": False, "d.norm": False}),
        (Refusal("ValueError", "not supported", "b.norm"), {"b.norm": True, "c.norm": True, "d.norm": False}),
    ],
)
def test_what_is_behind_the_first_refused_module_is_refused_too(
    raised: Refusal | None, refuses: dict[str, bool]
) -> None:
    trial = Trial(Plan("plan"), raised, reached=("a.q", "b.norm", "c.norm"))
    assert {path: trial.refuses({path}) for path in refuses} == refuses
