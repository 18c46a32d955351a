"""ARC104: what reaches a bare matrix, and what does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from archlint import Example
from archlint.rules.projections.raw_projection import RawProjection
from archlint.testing import findings


def test_all_linear_passes_it_by(adapt: Callable[..., Any]) -> None:
    model = adapt("projections.RawMatrix", target_modules="all-linear")
    assert not any("mixer" in name for name in model.base_model.targeted_module_names)


def test_target_parameters_reaches_it(adapt: Callable[..., Any], gradients: Callable[..., dict[str, bool]]) -> None:
    got = gradients(adapt("projections.RawMatrix", target_parameters=["mix"]))
    assert len(got) == 2
    assert all(got.values())


def test_nothing_reaches_one_of_the_top_module(adapt: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="top-level module is not supported"):
        adapt("projections.TopMatrix", target_parameters=["projection"])
    (finding,) = findings(RawProjection, Example("toy:projections.TopMatrix"))
    assert "no parameter of the top module" in finding.message


def test_the_finding_gives_the_name_that_reaches_it() -> None:
    (finding,) = findings(RawProjection, Example("toy:projections.RawMatrix"))
    assert finding.message.endswith("target_parameters only, as mix")


def test_a_published_connector(shallow: Callable[[str], str]) -> None:
    (finding,) = findings(RawProjection, Example(shallow("google/gemma-3-4b-it")))
    assert [fold.pattern for fold in finding.sites] == ["model.multi_modal_projector.mm_input_projection_weight"]
