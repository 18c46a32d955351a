"""A model's training step, by itself and with adapters, and what is left of it afterwards: nothing."""

from __future__ import annotations

import time
from typing import Any

import pytest
import torch
from accelerate import init_empty_weights
from torch import nn

from archlint.core.blueprint import Blueprint, ModelInfo
from archlint.core.trial import Ground, Plan, Trial
from archlint.fixtures.toys import projections, running, towers
from archlint.proving import Prover
from archlint.running import Runner, runner
from archlint.skeleton import Skeleton
from archlint.survey import survey


def surveyed(model: nn.Module) -> tuple[nn.Module, Blueprint]:
    return model, survey(Skeleton(model), ModelInfo("toy", "object", "", "", 0, 0))


def made(toy: type[nn.Module]) -> tuple[nn.Module, Blueprint]:
    with init_empty_weights(include_buffers=True):
        return surveyed(toy())


def tried(toy: type[nn.Module], targets: Any) -> Trial:
    model, blueprint = made(toy)
    return Prover(model, blueprint).try_plan(Plan("user", {"target_modules": targets}))


def test_a_healthy_model_runs() -> None:
    baseline = Runner(*made(projections.Dense)).baseline
    assert (baseline.ground, baseline.reason, baseline.idle, baseline.reads) == (Ground.META, "", (), ())
    assert baseline.inputs == ("input_ids",)


def test_what_the_batch_leaves_unused_is_idle() -> None:
    baseline = Runner(*made(towers.Captioner)).baseline
    assert set(baseline.idle) == {"vision", "connector"}


def test_a_weight_that_is_read_past_its_module_is_told_in_every_layer() -> None:
    baseline = Runner(*made(running.HandedOver)).baseline
    assert [read.path for read in baseline.reads] == ["layers.0.dt_proj", "layers.1.dt_proj"]
    assert baseline.reads[0].file.endswith("running.py")
    assert baseline.idle == ()


def test_a_weight_that_a_kernel_may_take_is_told_with_its_name() -> None:
    (first, _) = Runner(*made(running.FusedKernel)).baseline.reads
    assert (first.path, first.only) == ("layers.0.out_proj", "_fused_kernel")


def test_an_input_that_training_alone_asks_for() -> None:
    baseline = Runner(*made(towers.Typed)).baseline
    assert baseline.extra == ("token_type_ids",)
    assert baseline.without_extra is not None
    assert "token_type_ids" in baseline.without_extra.message


def test_a_model_that_needs_its_cache() -> None:
    baseline = Runner(*made(running.CacheBound)).baseline
    assert baseline.ground is None
    assert baseline.cache is not None
    assert baseline.reason == str(baseline.cache)


def test_a_model_that_computes_more_without_a_cache() -> None:
    assert Runner(*made(running.CacheSharing)).baseline.cached == ("layers.1.k_proj", "layers.1.v_proj")


def test_what_cannot_be_run_is_unavailable_and_says_why() -> None:
    class Broken(projections.Dense):
        def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
            raise ValueError("not here")

    model, blueprint = made(Broken)
    prover = Prover(model, blueprint)
    trial = prover.try_plan(Plan("user", {"target_modules": "all-linear"}))
    assert (trial.raised, trial.forward, trial.ground, trial.dead) == (None, "unavailable", None, ())
    assert prover.baseline.reason.startswith("ValueError: not here (")


def test_a_loop_without_end_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(projections.Dense):
        def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
            hidden = super().forward(input_ids)
            while hidden.mean() > 0:
                hidden = hidden + 1
            return hidden

    monkeypatch.setattr(runner, "MAX_SECONDS", 0.2)
    started = time.monotonic()
    baseline = Runner(*made(Endless)).baseline
    assert baseline.ground is None
    assert "a training step takes more than" in baseline.reason
    assert time.monotonic() - started < 20


def test_adapters_of_which_none_takes_part_are_all_dead() -> None:
    trial = tried(towers.Captioner, ["fc1"])
    assert trial.forward == "ok"
    assert trial.dead == trial.adapted


def test_a_crash_has_the_line_and_the_adapter() -> None:
    trial = tried(projections.Grouped, ["o_proj"])
    assert trial.forward == "crashed"
    assert trial.crash is not None
    assert trial.crash.at == "layers.0.o_proj"
    assert trial.crash.file is not None
    assert trial.crash.file.endswith("projections.py")


def test_the_model_is_as_before() -> None:
    model, blueprint = made(running.Indexed)
    model.eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    before = {name: type(module) for name, module in model.named_modules()}
    trial = Prover(model, blueprint).try_plan(Plan("user", {"target_modules": "all-linear"}))
    assert trial.dead == ("layers.0.indexer", "layers.1.indexer")
    assert {name: type(module) for name, module in model.named_modules()} == before
    assert not model.training
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in model.parameters())


def test_what_a_run_changes_in_the_model_does_not_last() -> None:
    class Remembering(projections.Dense):
        runs = 0

        def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
            self.runs += 1
            return super().forward(input_ids)

    model, blueprint = made(Remembering)
    Prover(model, blueprint).try_plan(Plan("user", {"target_modules": "all-linear"}))
    assert model.runs == 0


class ByIndex(nn.Module):
    """A layer that does by its index something else than all that are like it."""

    def __init__(self, index: int) -> None:
        super().__init__()
        self.layer_idx = index
        self.q_proj, self.v_proj = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        own: torch.Tensor = hidden + self.q_proj(hidden)
        return own if self.layer_idx == 0 else own + self.v_proj(hidden)


def test_what_only_the_first_layer_does_is_seen() -> None:
    class Model(projections.Dense):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(map(ByIndex, range(4)))

    trial = tried(Model, "all-linear")
    assert trial.dead == ("layers.0.v_proj",)


def test_layers_that_are_dropped_at_random_are_not() -> None:
    class Dropping(projections.Dense):
        def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
            if self.training and torch.rand(1) < 0.99:
                return projections.embedded(input_ids)
            return super().forward(input_ids)

    assert tried(Dropping, "all-linear").dead == ()


def test_asking_for_a_dtype_reads_no_weight() -> None:
    class Asking(projections.Dense):
        def __init__(self) -> None:
            super().__init__()
            self.unused = nn.Linear(8, 8)

        def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
            return super().forward(input_ids).to(self.unused.weight.dtype)

    baseline = Runner(*made(Asking)).baseline
    assert (baseline.reads, baseline.idle) == ((), ("unused",))
