"""ARC602: adapters in towers that the training step leaves idle."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from archlint import Example
from archlint.core.blueprint import Scope
from archlint.core.finding import Evidence, Severity
from archlint.rules.towers.idle_tower import IdleTower
from archlint.testing import examine, findings

MODEL = "toy:towers.Captioner"
ALL = {"target_modules": "all-linear"}


def test_what_text_gives_no_gradient_is_counted_and_kept_out(
    adapt: Callable[..., Any], gradients: Callable[..., dict[str, bool]]
) -> None:
    got = gradients(adapt("towers.Captioner", **ALL))
    idle = {name.partition(".lora_")[0] for name, has_gradient in got.items() if not has_gradient}
    (finding,) = findings(IdleTower, Example(MODEL, plan=ALL))
    assert (finding.severity, finding.evidence) == (Severity.WARNING, Evidence.FORWARDED)
    assert [fold.pattern for fold in finding.sites] == ["vision", "connector"]
    assert len(idle) == 11
    assert finding.message == "11 adapters of the plan get no gradient on a batch of input_ids (vision, connector)"
    assert all(gradients(adapt("towers.Captioner", **finding.remedies[0].plan or {})).values())


def test_the_second_distributed_step_raises(adapt: Callable[..., Any], tmp_path: Any) -> None:
    import torch
    from torch import distributed
    from torch.nn.parallel import DistributedDataParallel

    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        model = DistributedDataParallel(adapt("towers.Captioner", **ALL))
        model(torch.arange(3)[None]).sum().backward()
        with pytest.raises(RuntimeError, match="Expected to have finished reduction in the prior iteration"):
            model(torch.arange(3)[None])
    finally:
        distributed.destroy_process_group()


def test_a_plan_for_the_tower_alone_is_answered_by_the_recipe() -> None:
    (finding,) = findings(IdleTower, Example(MODEL, plan={"target_modules": ["fc1"]}))
    assert [remedy.by_recipe for remedy in finding.remedies] == [True]


def test_what_was_not_run_is_not_said() -> None:
    blueprint = examine(Example(MODEL, plan=ALL))
    assert blueprint.plan is not None
    trial = dataclasses.replace(blueprint.plan, forward="unavailable", dead=())
    assert list(IdleTower().check(dataclasses.replace(blueprint, plan=trial))) == []


def test_the_scope_decides() -> None:
    blueprint = examine(Example(MODEL, plan=ALL))
    assert list(IdleTower().check(dataclasses.replace(blueprint, scope=Scope.ALL))) == []


def test_a_part_that_is_trained_in_full(adapt: Callable[..., Any], gradients: Callable[..., dict[str, bool]]) -> None:
    plan = {"target_modules": r"text.*q_proj", "modules_to_save": ["connector", "embed_tokens"]}
    got = gradients(adapt("towers.Captioner", **plan))
    idle = {name.partition(".modules_to_save.")[0] for name, has_gradient in got.items() if not has_gradient}
    (finding,) = findings(IdleTower, Example(MODEL, plan=plan))
    assert {fold.pattern for fold in finding.sites} == idle == {"connector"}
    assert finding.message == "the plan trains connector in full, and on a batch of input_ids they get no gradient"
    assert finding.remedies[0].value == ["embed_tokens"]
