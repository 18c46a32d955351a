"""ARC603: inputs that training asks for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from archlint import Example
from archlint.core.blueprint import Blueprint
from archlint.core.finding import Evidence, Location, Severity
from archlint.core.trial import Baseline, Crash, Ground
from archlint.rules.towers.extra_training_inputs import ExtraTrainingInputs
from archlint.testing import examine


def asking(crash: Crash | None) -> Blueprint:
    baseline = Baseline(
        ground=Ground.META,
        inputs=("input_ids", "labels", "token_type_ids"),
        extra=("token_type_ids",),
        without_extra=crash,
    )
    return dataclasses.replace(examine(Example("toy:towers.Typed")), baseline=baseline)


def test_a_plain_batch_raises_in_training_only(toy: Callable[[str], Any]) -> None:
    import torch

    model, ids = toy("towers.Typed"), torch.arange(3)[None]
    model.eval()(ids)
    with pytest.raises(ValueError, match="token_type_ids"):
        model.train()(ids)
    model.train()(ids, token_type_ids=torch.zeros_like(ids))


def test_what_is_asked_for_and_what_to_give_is_told() -> None:
    (finding,) = ExtraTrainingInputs().check(asking(Crash("ValueError", "is required", "own.py", 7)))
    assert (finding.severity, finding.evidence) == (Severity.WARNING, Evidence.FORWARDED)
    assert finding.message == "in training Typed asks for token_type_ids, which a batch of input_ids, labels lacks"
    assert finding.location == Location("own.py", 7)
    assert "zeros like input_ids" in finding.remedies[0].text
    assert finding.proof == (
        "a batch of input_ids, labels → ValueError: is required (own.py:7)",
        "a batch of input_ids, labels, token_type_ids → forward and backward run",
    )


def test_a_model_that_asks_for_nothing_is_silent() -> None:
    assert list(ExtraTrainingInputs().check(dataclasses.replace(asking(None), baseline=Baseline(Ground.META)))) == []
