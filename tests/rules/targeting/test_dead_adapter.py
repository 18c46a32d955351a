"""ARC507: adapters without a gradient, and why."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from archlint import Example
from archlint.core.blueprint import Blueprint
from archlint.core.finding import Evidence, Severity
from archlint.core.trial import Read
from archlint.rules.targeting.dead_adapter import DeadAdapter
from archlint.testing import examine, findings

KERNEL = {"target_modules": ["in_proj", "out_proj"]}


def with_kernels(plan: dict[str, Any] | None, **outcome: Any) -> Blueprint:
    """The toy whose output projection a kernel reads past its module, as the survey of its code says."""
    reads = tuple(Read(f"layers.{n}.out_proj", "own.py", 7, only="cuda_kernels_forward") for n in (0, 1))
    blueprint = examine(Example("toy:running.FusedKernel", plan=plan))
    trial = dataclasses.replace(blueprint.plan, **outcome) if blueprint.plan is not None else None
    return dataclasses.replace(blueprint, plan=trial, baseline=dataclasses.replace(blueprint.baseline, reads=reads))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("running.Indexed", "nothing of the loss flows back through it"),
        ("running.ReadPast", "running.py:42 and the layer is never called"),
        ("running.HandedOver", "running.py:53 and the layer is never called"),
        ("running.CrossAttended", "a batch of input_ids does not use it"),
    ],
)
def test_what_gets_no_gradient_in_training_is_told_and_can_be_left_out(
    name: str, reason: str, adapt: Callable[..., Any], gradients: Callable[..., dict[str, bool]]
) -> None:
    got = gradients(adapt(name, target_modules="all-linear"))
    dead = {parameter.partition(".lora_")[0] for parameter, has_gradient in got.items() if not has_gradient}
    assert dead
    (finding,) = findings(DeadAdapter, Example(f"toy:{name}", plan={"target_modules": "all-linear"}))
    assert (finding.severity, finding.evidence) == (Severity.WARNING, Evidence.FORWARDED)
    assert finding.count == len(dead)
    assert reason in finding.message
    assert all(gradients(adapt(name, **finding.remedies[0].plan or {})).values())


def test_names_that_other_layers_share_are_told_in_full() -> None:
    (finding,) = findings(DeadAdapter, Example("toy:running.CrossAttended", plan={"target_modules": ["q_proj"]}))
    assert finding.message.startswith("adapters on cross_attn.q_proj get")


def test_different_reasons_are_different_findings_and_one_change_mends_both() -> None:
    blueprint = examine(Example("toy:running.ReadPast", plan={"target_modules": "all-linear"}))
    assert blueprint.plan is not None
    dead = (*blueprint.plan.dead, "layers.0.k_proj", "layers.1.k_proj")
    both = dataclasses.replace(blueprint, plan=dataclasses.replace(blueprint.plan, dead=dead))
    first, second = DeadAdapter().check(both)
    assert {fold.pattern for fold in (*first.sites, *second.sites)} == {"layers.{0,1}.dt_proj", "layers.{0,1}.k_proj"}
    assert first.remedies[0].plan == second.remedies[0].plan
    assert set((first.remedies[0].plan or {})["exclude_modules"]) == {"dt_proj", "k_proj"}


@pytest.mark.parametrize("plan", [KERNEL, None])
def test_a_kernel_that_the_run_could_not_show_is_an_info(plan: dict[str, Any] | None) -> None:
    (finding,) = DeadAdapter().check(with_kernels(plan))
    assert (finding.severity, finding.evidence, finding.remedies) == (Severity.INFO, Evidence.STATIC, ())
    assert "cuda_kernels_forward reads the weight at own.py:7" in finding.message
    assert "the run, which has no GPU, gave them a gradient" in finding.message


def test_nothing_is_said_of_a_run_that_there_was_not() -> None:
    (finding,) = DeadAdapter().check(with_kernels(KERNEL, forward="unavailable"))
    assert "the run" not in finding.message


def test_a_kernel_counts_for_adapted_layers_only() -> None:
    assert list(DeadAdapter().check(with_kernels({"target_modules": ["in_proj"]}))) == []


def test_where_nothing_could_be_run_the_code_tells() -> None:
    plan = {"target_modules": ["dt_proj", "q_proj"]}
    blueprint = examine(Example("toy:running.ReadPast", plan=plan))
    assert blueprint.plan is not None
    trial = dataclasses.replace(blueprint.plan, forward="unavailable", dead=())
    (finding,) = DeadAdapter().check(dataclasses.replace(blueprint, plan=trial))
    assert (finding.severity, finding.evidence) == (Severity.WARNING, Evidence.STATIC)
    assert "StepMixer reads the weight and never calls the layer" in finding.message


def test_towers_and_torchs_own_attention_have_rules_of_their_own() -> None:
    assert findings(DeadAdapter, Example("toy:towers.Captioner", plan={"target_modules": ["q_proj"]})) == []
    assert findings(DeadAdapter, Example("toy:projections.Pooled", plan={"target_modules": "all-linear"})) == []


def test_a_weight_that_a_published_model_reads(shallow: Callable[[str], str]) -> None:
    plan = {"target_modules": ["in_proj", "dt_proj"]}
    (finding,) = findings(DeadAdapter, Example(shallow("state-spaces/mamba-130m-hf"), plan=plan))
    assert {fold.pattern.rpartition(".")[2] for fold in finding.sites} == {"dt_proj"}
    assert "modeling_mamba.py:" in finding.message


class TestSavedModules:
    def test_a_copy_that_the_batch_does_not_use(
        self, adapt: Callable[..., Any], gradients: Callable[..., dict[str, bool]]
    ) -> None:
        plan = {"target_modules": ["layers.0.q_proj"], "modules_to_save": ["cross_attn"]}
        got = gradients(adapt("running.CrossAttended", **plan))
        assert {name.partition(".modules_to_save.")[0] for name, has in got.items() if not has} == {"cross_attn"}
        (finding,) = findings(DeadAdapter, Example("toy:running.CrossAttended", plan=plan))
        assert (finding.severity, finding.evidence) == (Severity.WARNING, Evidence.FORWARDED)
        assert "a batch of input_ids does not use it" in finding.message
        assert (finding.remedies[0].plan or {})["modules_to_save"] is None
        assert all(gradients(adapt("running.CrossAttended", **finding.remedies[0].plan or {})).values())

    def test_one_that_it_does_use(self) -> None:
        plan = {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]}
        assert findings(DeadAdapter, Example("toy:heads.Untied", plan=plan)) == []

    def test_one_in_a_tower_has_a_rule_of_its_own(self) -> None:
        plan = {"target_modules": r"text.*q_proj", "modules_to_save": ["connector"]}
        assert findings(DeadAdapter, Example("toy:towers.Captioner", plan=plan)) == []


@pytest.mark.parametrize(
    ("plan", "reason", "settings"),
    [
        ({"target_modules": ["q_proj"], "lora_alpha": 0}, "scaling is 0", ("lora_alpha",)),
        ({"target_modules": ["q_proj", "v_proj"], "alpha_pattern": {"q_proj": 0}}, "scaling is 0", ("alpha_pattern",)),
        ({"target_modules": ["q_proj"], "lora_dropout": 1.0}, "dropout is 1", ("lora_dropout",)),
    ],
)
def test_an_adapter_that_a_setting_multiplies_by_zero(
    plan: dict[str, Any], reason: str, settings: tuple[str, ...], adapt: Callable[..., Any]
) -> None:
    import torch

    model = adapt("projections.Dense", **plan)
    model.train()
    model(torch.arange(3)[None]).sum().backward()
    zero = {
        name.removeprefix("base_model.model.").partition(".lora_")[0]
        for name, weight in model.named_parameters()
        if weight.requires_grad and not weight.grad.any()
    }
    (finding,) = findings(DeadAdapter, Example("toy:projections.Dense", plan=plan))
    assert (finding.severity, finding.evidence, finding.settings) == (Severity.WARNING, Evidence.INJECTED, settings)
    assert reason in finding.message
    assert finding.count == len(zero)
    assert findings(DeadAdapter, Example("toy:projections.Dense", plan=finding.remedies[0].plan)) == []
