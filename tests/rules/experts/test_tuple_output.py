"""ARC303: adapters on layers that return a tuple."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from archlint import Example
from archlint.core.blueprint import Blueprint
from archlint.core.finding import Evidence, Severity
from archlint.core.trial import Crash, Trial
from archlint.rules.experts.tuple_output import TupleOutput
from archlint.testing import examine, findings

MODEL = "toy:experts.TupleLinearRouter"
GATE = {"target_modules": ["q_proj", "gate"]}


def run(plan: dict[str, Any], **outcome: Any) -> tuple[Blueprint, Trial]:
    """The toy with a plan whose run came to ``outcome``."""
    blueprint = examine(Example(MODEL, plan=plan))
    assert blueprint.plan is not None
    trial = dataclasses.replace(blueprint.plan, **{"forward": "unavailable", "crash": None, "dead": (), **outcome})
    return dataclasses.replace(blueprint, plan=trial), trial


def test_it_runs_and_crashes_once_adapted(
    adapt: Callable[..., Any], toy: Callable[[str], Any], gradients: Callable[..., dict[str, bool]]
) -> None:
    gradients(toy("experts.TupleLinearRouter"))
    with pytest.raises(AttributeError, match="'tuple' object") as raised:
        gradients(adapt("experts.TupleLinearRouter", **GATE))
    (finding,) = findings(TupleOutput, Example(MODEL, plan=GATE))
    assert (finding.severity, finding.evidence) == (Severity.ERROR, Evidence.FORWARDED)
    assert str(raised.value) in finding.proof[0]
    assert finding.location is not None
    assert finding.location.file.endswith("toys/experts.py")


def test_without_it_the_plan_trains(adapt: Callable[..., Any], gradients: Callable[..., dict[str, bool]]) -> None:
    (finding,) = findings(TupleOutput, Example(MODEL, plan=GATE))
    assert all(gradients(adapt("experts.TupleLinearRouter", **finding.remedies[0].plan or {})).values())


def test_an_adapter_on_its_weight_leaves_the_tuple_alone(
    adapt: Callable[..., Any], gradients: Callable[..., dict[str, bool]]
) -> None:
    plan = {"target_parameters": ["gate.weight"]}
    assert all(gradients(adapt("experts.TupleLinearRouter", **plan)).values())
    assert list(TupleOutput().check(run(plan)[0])) == [], "also where nothing was run"


def test_where_nothing_could_be_run_the_structure_tells() -> None:
    (finding,) = TupleOutput().check(run(GATE)[0])
    assert (finding.severity, finding.evidence) == (Severity.ERROR, Evidence.INJECTED)


def test_a_crash_elsewhere_comes_first_and_hides_it() -> None:
    elsewhere = Crash("RuntimeError", "shapes", at="layers.0.self_attn.o_proj")
    (finding,) = TupleOutput().check(run(GATE, forward="crashed", crash=elsewhere)[0])
    assert finding.evidence is Evidence.INJECTED


def test_what_ran_is_no_error() -> None:
    assert list(TupleOutput().check(run(GATE, forward="ok")[0])) == []


def test_the_router_of_a_published_model() -> None:
    plan = {"target_modules": ["q_proj", "v_proj", "router"]}
    (finding,) = findings(TupleOutput, Example("meta-llama/Llama-4-Scout-17B-16E-Instruct", plan=plan))
    assert finding.severity is Severity.ERROR
    assert [fold.pattern for fold in finding.sites] == ["language_model.model.layers.{0..47}.feed_forward.router"]
