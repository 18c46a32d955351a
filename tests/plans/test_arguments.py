"""The words of a command line, as PEFT would take them."""

from __future__ import annotations

import pytest

from archlint.plans import PlanError, targets


@pytest.mark.parametrize(
    ("values", "meant"),
    [
        (["q_proj"], ["q_proj"]),
        (["q_proj,v_proj"], ["q_proj", "v_proj"]),
        (["q_proj, v_proj", "o_proj"], ["q_proj", "v_proj", "o_proj"]),
        (["q_proj,,q_proj"], ["q_proj"]),
        (["self_attn.q_proj"], ["self_attn.q_proj"]),
        (["all-linear"], "all-linear"),
        (["All-Linear"], "All-Linear"),
        ([r"model\.layers"], r"model\.layers"),
        ([".*q_proj"], ".*q_proj"),
        (["(q|v)_proj"], "(q|v)_proj"),
        ([r"layers.[0-9]{1,2}.q"], r"layers.[0-9]{1,2}.q"),
    ],
)
def test_what_targets_mean(values: list[str], meant: object) -> None:
    assert targets(values) == meant


@pytest.mark.parametrize("values", [[""], [" , "], ["all-linear", "q"], ["q", ".*"], ["q,all-linear"], [".*q", ".*v"]])
def test_what_targets_cannot_mean(values: list[str]) -> None:
    with pytest.raises(PlanError):
        targets(values)
