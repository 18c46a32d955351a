"""Targets in the place of such as reach nothing, held to PEFT's own matching."""

from __future__ import annotations

from typing import Any

import pytest
from peft import LoraConfig
from peft.tuners.tuners_utils import check_target_module_exists

from archlint import Example
from archlint.core import guesses
from archlint.core.blueprint import Blueprint
from archlint.testing import examine


@pytest.fixture(scope="module")
def dense() -> Blueprint:
    return examine(Example("toy:projections.Dense"))


@pytest.fixture(scope="module")
def sparse() -> Blueprint:
    return examine(Example("toy:targeting.Experts"))


def reached(blueprint: Blueprint, targets: Any) -> list[str]:
    config = LoraConfig(target_modules=targets)
    return [site.path for site in blueprint.sites if site.path and check_target_module_exists(config, site.path)]


BOTH = ["layers.0.q_proj", "layers.1.q_proj"]


@pytest.mark.parametrize("given", ["q_proj", "q_proj,", r"layers\.\d\.q_proj.weight"])
def test_a_string(dense: Blueprint, given: str) -> None:
    assert reached(dense, given) == []
    mended = guesses.string(dense, given.rstrip(","))
    assert reached(dense, mended) == BOTH


def test_a_string_for_which_there_is_nothing(dense: Blueprint) -> None:
    assert guesses.string(dense, "encoder.*attention") is None
    assert guesses.string(dense, "(") is None


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        (["query"], ["query"]),
        ([r".*\.q_proj"], [r".*\.q_proj"]),
        (["'q_proj'"], ["'q_proj'"]),
        (["q_proj", "q_proj.weight"], ["q_proj.weight"]),
    ],
)
def test_a_list(dense: Blueprint, given: list[str], missing: list[str]) -> None:
    mended = guesses.listed(dense, given, missing)
    assert reached(dense, mended or given) == BOTH


def test_a_list_for_which_there_is_nothing(dense: Blueprint) -> None:
    assert guesses.listed(dense, ["q_proj", "foobar"], ["foobar"]) is None


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("experts.gate_proj", ["experts.gate_up_proj"]),
        ("mlp.experts", ["experts.gate_up_proj", "experts.down_proj"]),
        ("self_attn.q_proj", ["self_attn.q_proj.weight"]),
        ("experts.foobar", []),
    ],
)
def test_parameters(sparse: Blueprint, name: str, found: list[str]) -> None:
    assert guesses.parameters(sparse, [name]) == found


def test_what_the_model_has(dense: Blueprint, sparse: Blueprint) -> None:
    assert guesses.inventory(dense) == ["q_proj", "k_proj", "v_proj", "o_proj"]
    assert guesses.stacked(dense) == []
    assert guesses.stacked(sparse) == ["experts.gate_up_proj", "experts.down_proj"]
