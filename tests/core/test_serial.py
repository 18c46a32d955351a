"""Frozen data survives JSON: what a cache or a stored report gives back equals what went in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archlint.core.blueprint import Blueprint, Facts, Kind, ModelInfo, Role, Scope, Site, TypeInfo, Weight
from archlint.core.finding import Finding, Remedy, Severity
from archlint.core.report import Environment, Report, Run
from archlint.core.serial import from_json, to_json
from archlint.core.training import Trainer, Training
from archlint.core.trial import Plan, Refusal, Trial
from archlint.core.verdicts import Verdict

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=5,
)
arguments = st.dictionaries(st.text(), json_values, max_size=3)
st.register_type_strategy(Plan, st.builds(Plan, lora=arguments))
st.register_type_strategy(
    Remedy, st.builds(Remedy, value=json_values, plan=st.none() | arguments, training=st.none() | arguments)
)
st.register_type_strategy(Training, st.builds(Training, arguments=arguments))
st.register_type_strategy(Verdict, st.builds(Verdict, needs=st.none() | arguments))
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))


def through_json(value: Any) -> Any:
    return from_json(type(value), json.loads(json.dumps(to_json(value))))


@given(st.from_type(Blueprint))
def test_a_blueprint_survives(blueprint: Blueprint) -> None:
    assert through_json(blueprint) == blueprint


@given(st.builds(Run, st.from_type(Environment), st.lists(st.from_type(Report), max_size=2).map(tuple)))
def test_a_run_survives(run: Run) -> None:
    assert through_json(run) == run


@pytest.mark.parametrize("default", [None, (), ("q_proj", "v_proj"), ".*_proj"], ids=repr)
def test_each_alternative_of_a_union_keeps_its_type(default: tuple[str, ...] | str | None) -> None:
    assert through_json(Facts(peft_default=default)).peft_default == default


def test_a_word_of_several_that_may_be_missing_keeps_its_type() -> None:
    remedy = Remedy("other", "train with another", trainer=Trainer.TRANSFORMERS)
    assert isinstance(through_json(remedy).trainer, Trainer)


def test_what_comes_back_is_typed_all_the_way_down() -> None:
    weight = Weight("weight", (8, 4), "float32")
    site = Site("lm_head", TypeInfo("Linear", "torch.nn"), Kind.HEAD, Role.HEAD, (weight,), traits=frozenset({"fused"}))
    plan = Trial(Plan("all", {"r": 8}), raised=Refusal("ValueError", "no"), rewritten={"target_modules": ("a", "b")})
    model = ModelInfo("m", "type", "M", "m", 32, 1, layers={"text": 2})
    restored = through_json(Blueprint(model, (site,), Scope.ALL, stock=(plan,)))
    assert restored.sites[0].kind is Kind.HEAD
    assert restored.sites[0].weights[0].shape == (8, 4)
    assert restored.sites[0].traits == frozenset({"fused"})
    assert restored.stock[0].rewritten["target_modules"] == ("a", "b")
    assert restored.scope is Scope.ALL


def test_defaults_are_not_written() -> None:
    finding = Finding("ARC101", "wrapped-linear", Severity.ERROR, "message", "why")
    assert to_json(finding) == {
        "code": "ARC101",
        "name": "wrapped-linear",
        "severity": "error",
        "message": "message",
        "why": "why",
    }


def test_a_set_is_written_in_order() -> None:
    assert to_json(frozenset("qkvo")) == ["k", "o", "q", "v"]


@dataclass(frozen=True)
class Box:
    size: int
    lid: Weight | None = None
    labels: Mapping[str, Weight] = field(default_factory=dict)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        pytest.param({}, TypeError, id="a field is missing"),
        pytest.param({"size": 1, "colour": "red"}, TypeError, id="a field that the class has not"),
        pytest.param({"size": 1, "lid": {"name": "w"}}, TypeError, id="a field is missing further down"),
        pytest.param([1], TypeError, id="no object"),
        pytest.param("box", TypeError, id="a word"),
        pytest.param({"size": 1, "labels": ["a"]}, TypeError, id="a list for a mapping"),
    ],
)
def test_data_of_another_shape_is_refused(data: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        from_json(Box, data)


def test_a_value_outside_an_enumeration_is_refused() -> None:
    with pytest.raises(ValueError, match="'fatal' is not a valid Severity"):
        from_json(Finding, {"code": "X", "name": "x", "severity": "fatal", "message": "", "why": ""})


def test_a_word_where_a_list_belongs_is_refused() -> None:
    with pytest.raises(TypeError):
        from_json(Trial, {"plan": {"name": "p"}, "adapted": "lm_head"})
