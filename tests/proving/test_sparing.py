"""Adapters that are left out change nothing of what is said, and those that tell something are made."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from accelerate import init_empty_weights
from peft.tuners.lora import LoraModel
from torch import nn

from archlint.core.blueprint import Blueprint, ModelInfo
from archlint.core.stock import STOCK_PLANS
from archlint.core.trial import USER, Plan, Trial
from archlint.fixtures.toys import projections
from archlint.proving import Prover
from archlint.quiet import quiet
from archlint.skeleton import Skeleton, build
from archlint.survey import survey
from tests.running.test_runner import ByIndex

DEPTH = 9
EVERYWHERE = {"target_modules": "all-linear"}


def prepared(model: nn.Module) -> tuple[nn.Module, Blueprint]:
    return model, survey(Skeleton(model), ModelInfo("made", "object", "", "", 0, 0))


def made(toy: Callable[[], nn.Module]) -> tuple[nn.Module, Blueprint]:
    with init_empty_weights():
        return prepared(toy())


def whole(trial: Trial) -> Trial:
    """A trial without its plan, and without what is told of the user's alone."""
    return dataclasses.replace(trial, plan=Plan("any", {}), size=None, carried={})


def tried(model: nn.Module, blueprint: Blueprint, lora: Mapping[str, Any]) -> tuple[Trial, Trial]:
    """What comes of a plan, with adapters that may be left out, and with all of them."""
    spared, full = (Prover(model, blueprint).try_plan(Plan(name, lora)) for name in ("remedy", USER))
    return whole(spared), whole(full)


@pytest.fixture
def creations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The places where PEFT makes adapters."""
    places: list[str] = []
    create = LoraModel._create_and_replace

    def counting(*args: Any, current_key: str, **kwargs: Any) -> None:
        places.append(current_key)
        create(*args, current_key=current_key, **kwargs)

    monkeypatch.setattr(LoraModel, "_create_and_replace", counting)
    return places


class Deep(projections.Dense):
    """Attention in nine layers, all alike."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(projections.Attention() for _ in range(DEPTH))


@pytest.mark.parametrize("model_type", ["llama", "gpt2", "qwen3_moe", "deepseek_v3", "llava", "t5", "jamba"])
def test_nothing_that_is_said_changes(model_type: str) -> None:
    with quiet():
        skeleton = build({"model_type": model_type})
        blueprint = survey(skeleton, ModelInfo(model_type, "type", "", "", 0, 0))
        experts = {"target_modules": ["q_proj"], "target_parameters": ["experts.gate_up_proj", "experts.down_proj"]}
        for lora in (*(plan.lora for plan in STOCK_PLANS), experts):
            spared, full = tried(skeleton.model, blueprint, lora)
            assert spared == full


def test_layers_that_are_alike_get_adapters_where_they_are_run(creations: list[str]) -> None:
    model, blueprint = made(Deep)
    trial = Prover(model, blueprint).try_plan(Plan("remedy", EVERYWHERE))
    assert len(creations) == 4 * 4  # the first two and the last two
    assert len(trial.adapted) == 4 * DEPTH
    assert trial.trainable == 4 * DEPTH * (8 + 8) * 8
    assert trial.forward == "ok"


def test_the_users_plan_is_placed_throughout(creations: list[str]) -> None:
    model, blueprint = made(Deep)
    Prover(model, blueprint).try_plan(Plan(USER, EVERYWHERE))
    assert len(creations) == 4 * DEPTH


@pytest.mark.parametrize(
    "lora",
    [
        {"target_modules": r"layers\.[0-4]\.q_proj"},
        {"target_modules": ["layers.3.q_proj"]},
        {"target_modules": ["q_proj"], "exclude_modules": ["layers.4.q_proj"]},
        {"target_modules": ["q_proj"], "layers_to_transform": [4]},
        {"target_modules": ["q_proj"], "rank_pattern": {r"layers\.4\.q_proj": 2}},
        {"target_modules": ["q_proj"], "lora_alpha": 0},
        {"target_modules": ["q_proj", "layers"]},
    ],
    ids=str,
)
def test_a_plan_that_treats_like_layers_unlike_is_placed_throughout(lora: Mapping[str, Any]) -> None:
    spared, full = tried(*made(Deep), lora)
    assert spared == full


def test_a_target_that_only_looks_alike_gets_its_own_adapter(creations: list[str]) -> None:
    class Marked(Deep):
        def __init__(self) -> None:
            super().__init__()
            self.layers[4].q_proj.groups = 2  # a number makes no other kind of layer

    model, blueprint = made(Marked)
    assert Prover(model, blueprint).try_plan(Plan("remedy", EVERYWHERE)).forward == "ok"
    assert [place for place in creations if ".4." in place] == ["layers.4.q_proj"]


def test_what_peft_refuses_in_one_layer_is_refused_there() -> None:
    class Typed(Deep):
        def __init__(self) -> None:
            super().__init__()
            self.layers[4].q_proj = projections.ClampedLinear()

    spared, full = tried(*made(Typed), {"target_modules": ["q_proj"]})
    assert spared == full
    assert spared.raised is not None
    assert spared.raised.at == "layers.4.q_proj"


def test_where_the_depth_matters_all_layers_are_run_with_their_adapters(creations: list[str]) -> None:
    class Model(projections.Dense):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(map(ByIndex, range(DEPTH)))

    model, blueprint = made(Model)
    trial = Prover(model, blueprint).try_plan(Plan("remedy", EVERYWHERE))
    assert trial.dead == ("layers.0.v_proj",)
    assert {"layers.4.q_proj", "layers.4.v_proj"} <= set(creations)


def test_peft_is_as_before() -> None:
    create = LoraModel._create_and_replace
    tried(*made(Deep), {"target_modules": ["layers"]})
    assert LoraModel._create_and_replace is create
