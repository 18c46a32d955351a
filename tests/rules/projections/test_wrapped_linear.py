"""ARC101: what the installed PEFT does with a wrapper, and with the linear inside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from archlint import Example
from archlint.core.finding import Evidence, Severity
from archlint.rules.projections.wrapped_linear import WrappedLinear
from archlint.testing import findings


def test_peft_refuses_the_wrapper(adapt: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=r"(?s)ClampedLinear.*is not supported"):
        adapt("projections.Wrapped", target_modules=["q_proj"])


def test_the_linear_inside_is_trained(adapt: Callable[..., Any], gradients: Callable[..., dict[str, bool]]) -> None:
    (finding,) = findings(WrappedLinear, Example("toy:projections.Wrapped"))
    inner = next(remedy.value for remedy in finding.remedies if remedy.plan is not None)
    got = gradients(adapt("projections.Wrapped", target_modules=inner))
    assert len(got) == 4
    assert all(got.values())
    assert all(".q_proj.linear." in name for name in got)


def test_both_towers_are_one_finding() -> None:
    (finding,) = findings(WrappedLinear, Example("google/gemma-4-E2B-it"))
    assert (finding.severity, finding.evidence, finding.count) == (Severity.ERROR, Evidence.INJECTED, 232)
    by_role = {role: sum(fold.count for fold in finding.sites if fold.role == role) for role in ("vision", "audio")}
    assert by_role == {"vision": 112, "audio": 120}
    assert {fold.type for fold in finding.sites} == {"Gemma4ClippableLinear"}
    assert finding.location is not None
    assert finding.location.file.endswith("modeling_gemma4.py")


@pytest.mark.parametrize("member", ["google/gemma-4-26B-A4B-it", "google/gemma-4-31B-it"])
def test_a_single_tower(member: str) -> None:
    (finding,) = findings(WrappedLinear, Example(member))
    assert finding.count == 189


def test_wrappers_behind_the_first_refused_module_count_too() -> None:
    plan = {"target_modules": ["layers", "q_proj"]}
    (finding,) = findings(WrappedLinear, Example("toy:projections.Wrapped", plan=plan))
    assert "ModuleList" in finding.proof[0], "PEFT stopped before it came to the wrapper"


def test_the_users_plan_keeps_its_names_without_the_towers() -> None:
    plan = {"target_modules": ["q_proj", "v_proj"], "r": 4}
    (finding,) = findings(WrappedLinear, Example("google/gemma-4-E2B-it", plan=plan))
    (kept,) = (remedy for remedy in finding.remedies if remedy.kind == "exclude_modules")
    assert kept.plan == {**plan, "exclude_modules": kept.value}
    assert findings(WrappedLinear, Example("google/gemma-4-E2B-it", plan=kept.plan)) == []
