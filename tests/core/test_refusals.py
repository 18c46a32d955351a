"""What PEFT raises has one cause, read from what it really raises."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import nn

from archlint.core.blueprint import Blueprint, ModelInfo, Trait
from archlint.core.refusals import Cause, cause, culprit, is_adaptable
from archlint.core.trial import Plan, Refusal, Trial
from archlint.proving import Prover
from archlint.skeleton import Skeleton
from archlint.survey import survey

WIDTH = 8


class Clamped(nn.Module):
    """A linear between two clamps."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(WIDTH, WIDTH)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        clamped: torch.Tensor = self.linear(hidden.clamp(-4, 4)).clamp(-4, 4)
        return clamped


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q_proj = nn.Linear(WIDTH, WIDTH)
        self.up_proj = Clamped()
        self.scale = nn.PReLU(WIDTH)  # weights, of a class that PEFT does not know
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.norm(self.scale(self.up_proj(self.q_proj(hidden))))
        return out


class Net(nn.Module):
    """One block, and a head whose name is that of a block's scale."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Block()])
        self.out = nn.ModuleDict({"scale": nn.Linear(WIDTH, WIDTH)})

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.out["scale"](self.layers[0](hidden))
        return out


def tried(**lora: Any) -> tuple[Blueprint, Trial]:
    with torch.device("meta"):
        model = Net()
    blueprint = survey(Skeleton(model), ModelInfo("net", "object", "", "", 0, 0), None)
    return blueprint, Prover(model, blueprint).try_plan(Plan("user", lora))


@pytest.mark.parametrize(
    ("lora", "expected", "at"),
    [
        pytest.param({}, Cause.NO_DEFAULT, None, id="no targets"),
        pytest.param({"target_modules": ["w1"]}, Cause.NOTHING_REACHED, None, id="no such name"),
        pytest.param({"target_modules": ".*w1"}, Cause.NOTHING_REACHED, None, id="no such pattern"),
        pytest.param(
            {"target_modules": ["q_proj"], "task_type": "CAUSAL_LM"}, Cause.TASK_TYPE, None, id="nothing is generated"
        ),
        pytest.param(
            {"target_modules": ".*q_proj", "layers_to_transform": [0]}, Cause.SETTINGS, None, id="layers of a pattern"
        ),
        pytest.param({"target_modules": ["up_proj"]}, Cause.WRAPPER, "layers.0.up_proj", id="a wrapper"),
        pytest.param({"target_modules": ["norm"]}, Cause.NORM, "layers.0.norm", id="a norm"),
        pytest.param({"target_modules": ["0"]}, Cause.CONTAINER, "layers.0", id="an index"),
        pytest.param({"target_modules": ["scale"]}, Cause.MIXED_NAME, "layers.0.scale", id="a name of two sorts"),
        pytest.param({"target_modules": r".*\.0\.scale"}, Cause.UNSUPPORTED, "layers.0.scale", id="an unknown layer"),
        pytest.param(
            {"target_parameters": ["scale.weight"], "lora_dropout": 0.1},
            Cause.PARAMETER,
            None,
            id="dropout",
        ),
    ],
)
def test_a_refusal_has_its_cause(lora: dict[str, Any], expected: Cause, at: str | None) -> None:
    blueprint, trial = tried(**lora)
    assert cause(blueprint, trial) is expected
    if at is not None:
        site = culprit(blueprint, trial)
        assert site is not None
        assert site.path == at


def test_what_was_not_refused_has_no_cause() -> None:
    blueprint, trial = tried(target_modules=["q_proj"])
    assert trial.raised is None
    assert cause(blueprint, trial) is None
    assert culprit(blueprint, trial) is None


def test_what_nobody_has_seen_yet_is_something_else() -> None:
    blueprint, _ = tried(target_modules=["q_proj"])
    trial = Trial(Plan("user", {"target_modules": ["q_proj"]}), raised=Refusal("OSError", "the disk is full"))
    assert cause(blueprint, trial) is Cause.OTHER


def test_adaptable_is_what_peft_has_a_layer_for() -> None:
    blueprint, _ = tried(target_modules=["q_proj"])
    adaptable = {site.path for site in blueprint.select(trait=Trait.SUPPORTED)}
    assert adaptable == {"layers.0.q_proj", "layers.0.up_proj.linear", "out.scale"}
    assert is_adaptable(blueprint, "out.scale")
    assert not is_adaptable(blueprint, "layers.0.norm")
    assert not is_adaptable(blueprint, "no.such.place")


def test_the_top_module_is_replaced_by_nothing() -> None:
    blueprint = survey(Skeleton(nn.Linear(2, 2)), ModelInfo("linear", "object", "", "", 0, 0))
    trial = Prover(nn.Linear(2, 2), blueprint).try_plan(Plan("user", {"target_modules": "all-linear"}))
    assert trial.raised is not None
    assert not is_adaptable(blueprint, "")


def test_another_tuner_has_defaults_of_its_own() -> None:
    blueprint, _ = tried(target_modules=["q_proj"])
    known = dataclasses.replace(blueprint, facts=dataclasses.replace(blueprint.facts, peft_default=("q_proj",)))
    refused = Trial(Plan("user", {}, "IA3"), raised=Refusal("ValueError", "Please specify `target_modules` in `x`"))
    assert cause(known, refused) is Cause.NO_DEFAULT
    assert cause(known, dataclasses.replace(refused, plan=Plan("user", {}))) is Cause.DEFAULT_BROKEN
