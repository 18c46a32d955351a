"""ARC903: what could not be run was not checked."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from archlint import Example
from archlint.core.blueprint import Blueprint
from archlint.core.finding import Severity
from archlint.core.report import Environment, Report, Run
from archlint.core.trial import Baseline, Ground, Plan, Refusal, Trial
from archlint.rules.tool.cannot_run import CannotRun
from archlint.testing import examine

NOT_RUN = Baseline(reason="RuntimeError: needs\n  a GPU")


@pytest.fixture(scope="module")
def examined() -> Blueprint:
    return examine(Example("toy:projections.Dense", plan={"target_modules": ["q_proj"]}))


def left(examined: Blueprint, baseline: Baseline, **outcome: Any) -> Blueprint:
    assert examined.plan is not None
    trial = dataclasses.replace(examined.plan, **{"forward": "unavailable", **outcome})
    return dataclasses.replace(examined, baseline=baseline, plan=trial)


def test_a_plan_that_was_not_run_is_unchecked_with_the_reason(examined: Blueprint) -> None:
    blueprint = left(examined, NOT_RUN)
    (finding,) = CannotRun().check(blueprint)
    lack = CannotRun.lack(blueprint)
    assert (finding.severity, finding.unchecked) == (Severity.WARNING, True)
    assert finding.message == "the training step could not be run: RuntimeError: needs a GPU"
    assert lack is not None
    report = Report("toy", findings=(finding,), unchecked=(lack,))
    assert (report.status, report.untold) == ("unchecked", ())
    assert Run(Environment("3"), (report,)).exit_code(Severity.WARNING) == 3


def test_an_adapted_model_that_takes_too_long_is_unchecked_too(examined: Blueprint) -> None:
    (finding,) = CannotRun().check(left(examined, Baseline(Ground.META)))
    assert "takes too long" in finding.message


@pytest.mark.parametrize(
    ("baseline", "outcome"),
    [
        (Baseline(), {}),
        (Baseline(Ground.META), {"forward": "ok"}),
        (Baseline(Ground.META), {"forward": "crashed"}),
        (NOT_RUN, {"raised": Refusal("ValueError", "no"), "adapted": ()}),
    ],
    ids=["nothing was to be run", "ran", "crashed", "refused"],
)
def test_anything_else_is_silent(examined: Blueprint, baseline: Baseline, outcome: dict[str, Any]) -> None:
    assert list(CannotRun().check(left(examined, baseline, **outcome))) == []


def test_a_model_without_plans_is_silent(examined: Blueprint) -> None:
    assert list(CannotRun().check(dataclasses.replace(examined, baseline=NOT_RUN, plan=None, stock=()))) == []


def test_one_plan_of_several_is_enough(examined: Blueprint) -> None:
    trials = (Trial(Plan("a"), adapted=("layers.0.q_proj",), forward="ok"), Trial(Plan("b"), adapted=("x",)))
    blueprint = dataclasses.replace(examined, baseline=Baseline(Ground.META), plan=None, stock=trials)
    assert "with b it takes too long" in next(iter(CannotRun().check(blueprint))).message
