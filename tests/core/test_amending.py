"""Plans with a change: what is taken out is out, and all else stays."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archlint.core.amending import as_parameters, leaving_out, unwrappable, without
from archlint.core.blueprint import Blueprint, Kind, ModelInfo, Role, Site, TypeInfo, Weight
from archlint.core.suffixes import reached_by
from archlint.core.trial import Entry, Plan, Trial

PATHS = [
    f"{part}.{layer}.{name}"
    for part in ("text.layers", "tower.layers")
    for layer in "01"
    for name in ("q", "k", "norm")
]


def tried(paths: Sequence[str] = PATHS, **lora: Any) -> Trial:
    """A trial of a list of names, which reach what PEFT says they do, or of a setting that reaches everything."""
    targets = lora.get("target_modules")
    if not isinstance(targets, list):
        return Trial(Plan("user", lora), reached=tuple(paths))
    entries = tuple(Entry("target_modules", value, reached_by(value, paths)) for value in targets)
    return Trial(
        Plan("user", lora), reached=tuple(p for p in paths if any(p in e.reaches for e in entries)), entries=entries
    )


def still_reached(lora: dict[str, Any], paths: Collection[str] = PATHS) -> set[str]:
    """What PEFT would reach with lists of names."""
    targets = lora["target_modules"]
    hit = set(paths) if isinstance(targets, str) else {path for name in targets for path in reached_by(name, paths)}
    excluded = {path for name in lora.get("exclude_modules", ()) for path in reached_by(name, paths)}
    return hit - excluded


def test_a_name_that_reaches_nothing_else_is_dropped() -> None:
    norms = [path for path in PATHS if path.endswith("norm")]
    changed = leaving_out(tried(target_modules=["q", "norm", "absent"], r=4), norms)
    assert changed == {"target_modules": ["q", "absent"], "r": 4}


def test_a_name_that_reaches_more_is_kept_and_what_is_unwanted_excluded() -> None:
    paths = ["a.0.mlp.gate", "a.1.mlp.gate", "a.0.attn.gate"]
    changed = leaving_out(tried(paths, target_modules=["gate"]), paths[:2])
    assert changed == {"target_modules": ["gate"], "exclude_modules": ["mlp.gate"]}


@pytest.mark.parametrize(
    ("given_already", "expected"),
    [(None, ["norm"]), (["k"], ["k", "norm"]), (".*tower.*", r".*tower.*|(.*\.)?(norm)")],
)
def test_what_is_excluded_already_stays_so(given_already: Any, expected: Any) -> None:
    norms = [path for path in PATHS if path.endswith("norm")]
    changed = leaving_out(tried(target_modules="all-linear", exclude_modules=given_already), norms)
    assert changed is not None
    assert changed["exclude_modules"] == expected


@pytest.mark.parametrize("targets", [["norm"], ["norm", "absent"]])
def test_there_is_no_plan_without_targets(targets: list[str]) -> None:
    norms = [path for path in PATHS if path.endswith("norm")]
    assert leaving_out(tried(target_modules=targets), norms) is None
    with_parameters = leaving_out(tried(target_modules=targets, target_parameters=["x"]), norms)
    assert with_parameters is not None
    assert "norm" not in with_parameters["target_modules"]


def test_one_layer_of_many_has_no_short_name() -> None:
    assert leaving_out(tried(target_modules=["q"]), ["text.layers.1.q"]) is None


@given(
    st.lists(st.sampled_from(["q", "k", "norm", "0.q", "tower.layers.0.k"]), min_size=1, unique=True),
    st.sets(st.sampled_from(PATHS)),
)
def test_what_is_left_out_is_out_and_nothing_else(targets: list[str], paths: set[str]) -> None:
    trial = tried(target_modules=targets)
    changed = leaving_out(trial, paths)
    if changed is not None:
        assert still_reached(changed) == set(trial.reached) - paths


def test_a_remedy_changes_the_plan_before_it_points_to_the_recipe() -> None:
    norms = [path for path in PATHS if path.endswith("norm")]
    own, recipe = without([tried(target_modules=["q", "norm"])], norms, "leave them out")
    assert (own.kind, own.text, own.value, own.plan) == (
        "target_modules",
        "leave them out",
        ["q"],
        {"target_modules": ["q"]},
    )
    assert recipe.by_recipe
    (only,) = without([tried(target_modules=["norm"])], norms, "leave them out")
    assert only.by_recipe


def experts() -> Blueprint:
    holder = TypeInfo("Experts", "toy")
    sites = [
        Site(f"layers.{layer}.{path}", holder, kind, Role.TEXT, (Weight(name, (4, 8, 8), "float32"),), bare)
        for layer in "01"
        for path, name, kind, bare in [
            ("experts", "unused", Kind.FUSED_EXPERTS, False),
            ("experts.down", "down", Kind.FUSED_EXPERTS, True),
            ("shared.down", "weight", Kind.LINEAR, False),
        ]
    ]
    return Blueprint(ModelInfo("m", "type", "M", "m", parameters=0, modules=0), tuple(sites))


@pytest.mark.parametrize(("targets", "left"), [(["experts", "shared.down"], ["shared.down"]), (["experts"], [])])
def test_parameters_instead_of_modules(targets: list[str], left: list[str]) -> None:
    blueprint = experts()
    modules = [site for site in blueprint.sites if not site.is_parameter]
    trial = tried([site.path for site in modules], target_modules=targets, lora_dropout=0.1, r=2)
    stacks = [site for site in blueprint.sites if site.is_parameter]
    names, plan = as_parameters(blueprint, trial, [site for site in modules if site.leaf == "experts"], stacks)
    assert names == ["experts.down"]
    assert plan == {"target_modules": left, "target_parameters": names, "lora_dropout": 0.0, "r": 2}


def test_only_what_stands_in_the_way_is_turned_off() -> None:
    assert unwrappable({"lora_dropout": 0.1, "use_dora": True, "use_rslora": True, "lora_bias": False}) == {
        "lora_dropout": 0.0,
        "use_dora": False,
    }
    assert unwrappable({"lora_dropout": 0.0}) == {}
