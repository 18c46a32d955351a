"""What does not run on the meta device is run as a small copy, and told by the paths of the model."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from archlint.core.blueprint import Blueprint, ModelInfo
from archlint.core.trial import Ground, Plan, Trial
from archlint.proving import Prover
from archlint.proving.on_copy import Copy
from archlint.quiet import quiet
from archlint.running import NoSmallCopyError, Runner
from archlint.skeleton import Skeleton, build
from archlint.survey import survey


def surveyed(model_type: str, **config: Any) -> tuple[Skeleton, Blueprint]:
    with quiet():
        skeleton = build({"model_type": model_type, **config})
        return skeleton, survey(skeleton, ModelInfo(model_type, "type", "", "", 0, 0))


@cache
def copied(model_type: str) -> Copy:
    skeleton, blueprint = surveyed(model_type)
    with quiet():
        return Copy(skeleton.model, blueprint)


def tried(model_type: str, lora: dict[str, Any]) -> Trial:
    skeleton, blueprint = surveyed(model_type)
    with quiet():
        return Prover(skeleton.model, blueprint).try_plan(Plan("user", lora))


def test_a_loop_over_the_tokens_of_each_expert_needs_real_numbers() -> None:
    skeleton, blueprint = surveyed("jetmoe")
    with quiet():
        assert Runner(skeleton.model, blueprint).baseline.ground is None
    trial = tried("jetmoe", {"target_modules": "all-linear"})
    assert (trial.forward, trial.ground, trial.dead) == ("ok", Ground.COPY, ())
    assert len(trial.adapted) == 36


def test_what_is_dead_in_the_copy_is_dead_in_every_layer_of_the_model() -> None:
    trial = tried("led", {"target_modules": ["query", "query_global"]})
    assert trial.ground is Ground.COPY
    assert {path.rpartition(".")[2] for path in trial.dead} == {"query_global"}
    assert len(trial.dead) == 12


@pytest.mark.parametrize(
    ("model_type", "lora"),
    [
        ("phimoe", {"target_modules": "all-linear"}),
        ("glm_moe_dsa", {"target_modules": ["q_a_proj", "wq_b", "wk"]}),
        ("mllama", {"target_modules": ["q_proj", "v_proj"], "exclude_modules": ".*vision_model.*"}),
        ("qwen3_moe", {"target_modules": ["q_proj"], "target_parameters": ["mlp.experts.gate_up_proj"]}),
    ],
)
def test_the_copy_says_what_the_meta_device_says(model_type: str, lora: dict[str, Any]) -> None:
    trial = tried(model_type, lora)
    assert trial.ground is Ground.META
    with quiet():
        run = copied(model_type).run(Plan("user", lora), trial.adapted)
    assert run is not None
    if trial.crash is None:
        assert (run.crash, run.dead) == (None, set(trial.dead))
    else:
        assert run.crash is not None
        assert (run.crash.type, run.crash.line) == (trial.crash.type, trial.crash.line)
        assert run.crash.at == trial.crash.at


def test_a_plan_for_one_layer_cannot_be_told_by_a_copy_that_lacks_it() -> None:
    lora = {"target_modules": ["model.layers.30.self_attn.q_proj"]}
    with quiet():
        assert copied("qwen3_moe").run(Plan("user", lora), ("model.layers.30.self_attn.q_proj",)) is None


def test_what_no_copy_can_be_made_of() -> None:
    skeleton, blueprint = surveyed("deepseek_v2")  # its default names no number of experts to choose
    with quiet(), pytest.raises(NoSmallCopyError):
        Copy(skeleton.model, blueprint)
