"""Which adapted sites a crash is laid to."""

from __future__ import annotations

import pytest

from archlint.core.blueprint import Blueprint, Kind, ModelInfo, Role, Site, TypeInfo
from archlint.core.finding import Evidence, Finding, Location, Severity
from archlint.core.runs import crashed_sites, located, quote_run
from archlint.core.trial import Crash, Ground, Plan, Trial

LINEAR, OWN, EXPERTS = (
    TypeInfo("Linear", "torch.nn"),
    TypeInfo("Own", "own", file="own.py", line=3),
    TypeInfo("E", "own"),
)
SITES = (
    *(Site(f"layers.{n}.attn.{name}", LINEAR, Kind.LINEAR, Role.TEXT) for n in (0, 1) for name in ("q", "k", "o")),
    *(Site(f"layers.{n}.mlp.gate", OWN, Kind.ROUTER, Role.TEXT) for n in (0, 1)),
    *(
        Site(f"layers.{n}.mlp.experts.{name}", EXPERTS, Kind.FUSED_EXPERTS, Role.TEXT, is_parameter=True)
        for n in (0, 1)
        for name in ("up", "down")
    ),
)
BLUEPRINT = Blueprint(ModelInfo("m", "object", "M", "", 1, 1), SITES)
ALL = tuple(site.path for site in SITES)


def crashed(at: str | None, adapted: tuple[str, ...] = ALL) -> set[str]:
    trial = Trial(Plan("p"), adapted=adapted, forward="crashed", crash=Crash("TypeError", "no", at=at))
    return {site.path for site in crashed_sites(BLUEPRINT, trial)}


@pytest.mark.parametrize(
    "at", ["layers.0.mlp.gate", "layers.0.mlp.gate.base_layer", "layers.0.mlp.gate.lora_A.default"]
)
def test_the_site_at_or_above_the_running_module_in_every_layer(at: str) -> None:
    assert crashed(at) == {"layers.0.mlp.gate", "layers.1.mlp.gate"}


def test_only_where_it_is_adapted() -> None:
    assert crashed("layers.0.mlp.gate", ("layers.0.mlp.gate", "layers.0.attn.q")) == {"layers.0.mlp.gate"}


@pytest.mark.parametrize("at", ["layers.1.mlp.experts", "layers.1.mlp.experts.base_layer"])
def test_a_parameter_is_adapted_at_its_module(at: str) -> None:
    assert crashed(at) == {f"layers.{n}.mlp.experts.{name}" for n in (0, 1) for name in ("up", "down")}


def test_a_module_that_holds_no_adapter_is_laid_to_those_right_below_it() -> None:
    assert crashed("layers.0.attn") == {f"layers.{n}.attn.{name}" for n in (0, 1) for name in ("q", "k", "o")}


@pytest.mark.parametrize("at", [None, "", "norm", "layers.0", "layers.0.mlp.gating"])
def test_no_adapter_is_to_blame_where_none_is_near(at: str | None) -> None:
    assert crashed(at) == set()


def test_a_run_that_did_not_crash_has_no_such_sites() -> None:
    assert crashed_sites(BLUEPRINT, Trial(Plan("p"), adapted=ALL, forward="ok")) == ()


@pytest.mark.parametrize(
    ("trial", "line"),
    [
        (Trial(Plan("p"), adapted=("a", "b"), forward="ok"), "PEFT's default targets → 2 adapters"),
        (
            Trial(Plan("p", {"target_modules": ["q"]}), adapted=("a", "b"), forward="ok", dead=("a",)),
            "target_modules=['q'] → 2 adapters, 1 without a gradient",
        ),
        (
            Trial(Plan("p"), adapted=("a",), forward="crashed", crash=Crash("KeyError", "k", "m.py", 7)),
            "PEFT's default targets → KeyError: k (m.py:7)",
        ),
        (
            Trial(Plan("p"), adapted=("a",), forward="ok", ground=Ground.COPY),
            "PEFT's default targets → 1 adapters (a small copy was run)",
        ),
    ],
)
def test_a_run_in_one_line(trial: Trial, line: str) -> None:
    assert quote_run(trial) == line


@pytest.mark.parametrize(
    ("own", "crash", "expected"),
    [
        (None, Crash("E", "", "m.py", 7), Location("m.py", 7)),
        (Location("c.py", 1), Crash("E", "", "m.py", 7), Location("c.py", 1)),
        (None, Crash("E", ""), None),
        (None, None, None),
    ],
)
def test_a_finding_without_a_place_gets_that_of_the_crash(
    own: Location | None, crash: Crash | None, expected: Location | None
) -> None:
    finding = Finding("X", "x", Severity.ERROR, "", "", Evidence.FORWARDED, location=own)
    assert located(finding, crash).location == expected
