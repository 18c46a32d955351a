"""The Python interface: what it takes, what it refuses, and that nothing checked is never clean."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
from collections.abc import Callable
from typing import Any

import pytest
from peft import LoraConfig, get_peft_model
from torch import nn

import archlint
from archlint import engine
from archlint.core import too_slow
from archlint.core.catalog import Catalog
from archlint.core.finding import Severity
from archlint.core.folding import unfold
from archlint.core.report import Environment, Report, Run
from archlint.core.trial import USER, Plan
from archlint.fixtures.toys.projections import Dense
from archlint.sources import SourceOptions


def code(report: Report) -> int:
    return Run(Environment("3"), (report,)).exit_code(Severity.ERROR)


@pytest.mark.parametrize("source", [5, None, LoraConfig(), {"model_type": "llama"}, nn.Linear])
def test_a_source_of_another_type_is_a_type_error(source: Any) -> None:
    with pytest.raises(TypeError, match="is expected, not"):
        archlint.lint(source)


@pytest.mark.parametrize("plan", ["all-linear", 5, ["q_proj"]])
def test_a_plan_of_another_type_is_a_type_error(plan: Any) -> None:
    with pytest.raises(TypeError, match="a LoraConfig, another PeftConfig or a mapping"):
        archlint.lint(nn.Sequential(nn.Linear(2, 2)), plan=plan)


def test_a_selection_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="leaves no rule"):
        archlint.lint(nn.Sequential(nn.Linear(2, 2)), ignore=["ALL"])


def test_a_lora_config_is_a_plan() -> None:
    model = nn.ModuleDict({"q_proj": nn.Linear(4, 4), "v_proj": nn.Linear(4, 4)})
    report = archlint.lint(model, plan=LoraConfig(target_modules=["q_proj", "k_proj"], r=4))
    assert report.plan is not None
    assert dict(report.plan.plan.lora) == {"target_modules": ["k_proj", "q_proj"], "r": 4}
    assert report.plan.adapted == ("q_proj",)
    assert [finding.code for finding in report.of(Severity.WARNING)] == ["ARC504", "ARC903"]  # it has no forward


def test_the_census_tells_what_a_plan_trains_in_full() -> None:
    head = nn.Sequential(nn.Linear(4, 2))
    model = nn.ModuleDict({"q_proj": nn.Linear(4, 4), "score": head, "other": nn.Linear(4, 2)})
    report = archlint.lint(model, plan={"target_modules": ["q_proj"], "modules_to_save": ["score"]})
    saved = [path for part in report.modules if part.plan_saves for path in unfold(part.sites.pattern)]
    assert sorted(saved) == ["score", "score.0"]
    assert not any(part.recipe_saves for part in report.modules)


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (
            get_peft_model(nn.Sequential(nn.Linear(4, 4)), LoraConfig(target_modules=["0"])),
            "holds PEFT adapters already",
        ),
        (nn.Sequential(nn.LazyLinear(4)), "has no shape yet"),
    ],
)
def test_a_model_that_is_not_ready_is_unchecked(model: nn.Module, why: str) -> None:
    report = archlint.lint(model)
    assert report.status == "unchecked"
    assert why in report.unchecked[0].why
    assert code(report) == 3


@pytest.mark.parametrize("model", [nn.Identity(), nn.Sequential()])
def test_a_model_without_parameters_is_unchecked(model: nn.Module) -> None:
    report = archlint.lint(model)
    assert report.status == "unchecked"
    assert "no parameters" in report.unchecked[0].why
    assert code(report) == 3


@pytest.mark.parametrize("options", [{"ignore": ["ARC504"]}, {"select": ["ARC2"]}])
def test_a_plan_that_raises_is_never_clean(options: dict[str, Any]) -> None:
    model = nn.ModuleDict({"q_proj": nn.Linear(4, 4)})
    report = archlint.lint(model, plan={"target_modules": ["nothing"]}, **options)
    assert report.plan is not None
    assert report.plan.raised is not None
    assert report.status == "unchecked"
    assert "NoMatchingPeftModuleError" in report.unchecked[0].why
    assert code(report) == 3


def test_a_report_reads_as_text() -> None:
    report = archlint.lint(nn.ModuleDict({"q_proj": nn.Linear(4, 4)}), plan={"target_modules": ["nothing"]})
    lines = str(report).splitlines()
    assert lines[0] == "ModuleDict: unchecked (1 error, 1 not checked)"
    assert lines[1].startswith("error ARC504 unmatched-target: nothing in target_modules reaches nothing")
    assert lines[-1] == "recipe {'target_modules': ['q_proj']}"


def test_a_scope_that_the_model_has_not_is_unchecked() -> None:
    report = archlint.lint("Qwen/Qwen3-0.6B", offline=True, scope="vision")
    assert report.status == "unchecked"
    assert report.unchecked[0].why == "the model has no vision part; it has text"
    assert code(report) == 3


def test_a_structure_that_was_not_proven_is_not_clean() -> None:
    report = archlint.lint("Qwen/Qwen3-0.6B", offline=True, prove=False)
    assert report.status == "unchecked"
    assert report.recipe is None
    assert report.stock == ()
    assert {finding.code for finding in report.findings} >= {"ARC201", "ARC401"}
    assert code(report) == 3


@pytest.mark.parametrize(
    "model", ["meta-llama/Llama-4-Scout-17B-16E-Instruct", "google/gemma-4-E2B-it", "openai/gpt-oss-20b"]
)
def test_what_is_proven_mends_and_breaks_nothing_else(shallow: Callable[[str], str], model: str) -> None:
    """Each proven fix of a real model is taken as the user's plan: no error of the plan is left, and no new warning."""
    source = shallow(model)
    options = engine.Options(rules=Catalog.load().select(None), source=SourceOptions(offline=True))
    with engine.checking(source, options) as judge:
        report = judge(options)
        known = {finding.code for finding in report.findings if finding.severity is not Severity.INFO}
        tried = 0
        for finding in report.findings:
            for remedy in finding.remedies:
                plan = remedy.value if remedy.by_recipe else remedy.plan
                if not remedy.proven or plan is None:
                    continue
                tried += 1
                if remedy.scope is None:
                    after = judge(dataclasses.replace(options, plan=Plan(USER, plan)))
                else:
                    after = archlint.lint(source, offline=True, plan=plan, scope=remedy.scope.value)
                assert all(other.trainers for other in after.of(Severity.ERROR))  # which no plan mends
                assert {other.code for other in after.of(Severity.WARNING)} <= known - {finding.code}
    assert tried


def test_a_live_model_is_run_without_its_weights() -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        hidden_size=64, intermediate_size=128, num_hidden_layers=3, num_attention_heads=4, vocab_size=100
    )
    model = LlamaForCausalLM(config).eval()
    before = {name: (weight.clone(), weight.requires_grad) for name, weight in model.named_parameters()}
    random = torch.get_rng_state()
    report = archlint.lint(model)
    assert report.status == "clean", report
    assert report.recipe is not None
    assert (report.recipe.forward, report.recipe.dead) == ("ok", ())
    assert torch.equal(random, torch.get_rng_state())
    assert not model.training
    for name, weight in model.named_parameters():
        assert torch.equal(weight, before[name][0])
        assert (weight.requires_grad, weight.grad) == (before[name][1], None)


def test_a_live_model_with_packed_weights_is_injected_and_not_run() -> None:
    import torch
    from torch import nn

    from archlint.fixtures.toys.projections import Dense

    class Packed(nn.Parameter):
        pass

    model = Dense()
    model.layers[0].q_proj.weight = Packed(torch.ones(8, 8))  # type: ignore[union-attr]
    report = archlint.lint(model)
    assert report.recipe is not None
    assert (report.recipe.raised, report.recipe.forward) == (None, "unavailable")
    assert report.status == "unchecked"
    assert "ARC903" in {finding.code for finding in report.findings}


def test_a_crash_that_no_rule_may_tell_is_not_clean() -> None:
    from archlint.fixtures.toys.projections import Grouped

    plan = {"target_modules": ["o_proj"]}
    assert archlint.lint(Grouped(), plan=plan).status == "findings"
    report = archlint.lint(Grouped(), plan=plan, ignore=["ARC508"])
    assert report.status == "unchecked"
    assert "the training step crashes" in report.unchecked[0].why


def test_a_crash_beside_a_layer_that_returns_a_tuple_is_told() -> None:
    import torch
    from torch import nn

    from archlint.fixtures.toys.experts import TupleLinearRouter

    class Asking(TupleLinearRouter):
        def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
            if any(type(part).__name__ == "ParamWrapper" for part in self.modules()):
                raise TypeError("a gate must be plain")
            return super().forward(input_ids)

    assert isinstance(Asking(), nn.Module)
    report = archlint.lint(Asking(), plan={"target_modules": ["q_proj"], "target_parameters": ["gate.weight"]})
    assert [finding.code for finding in report.of(Severity.ERROR)] == ["ARC508"]


def test_nothing_is_proven_on_a_model_that_does_not_run() -> None:
    import torch

    from archlint.fixtures.toys.projections import Wrapped

    class Broken(Wrapped):
        def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
            raise ValueError("not here")

    report = archlint.lint(Broken())
    assert report.status == "unchecked"
    assert not any(remedy.proven for finding in report.findings for remedy in finding.remedies)


def test_a_plan_that_never_ends_is_unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(too_slow, "MAX_SECONDS", 2.0)
    report = archlint.check_plan("type:llama", {"target_modules": r"(([a-z_.0-9]+)+)+!"})
    (lack,) = report.unchecked
    assert lack.what == "the plan"
    assert "more than 2 s" in lack.why


def test_a_model_of_text_alone_is_checked_in_all_of_its_parts() -> None:
    report = archlint.lint(Dense(), scope="all", trainers=[])
    assert report.status == "clean"
    assert report.recipe is not None


def test_garbage_is_collected_as_before_whatever_happens_in_between() -> None:
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    try:
        with contextlib.suppress(KeyError), engine.opening(Dense(), engine.Options(prove=False)):
            within = gc.get_threshold()
            raise KeyError
        assert within[0] > 700
        assert gc.get_threshold() == (700, 10, 10)
    finally:
        gc.set_threshold(*before)


def test_the_census_counts_every_parameter_once_and_says_what_is_adapted(shallow: Callable[[str], str]) -> None:
    for source in ("Qwen/Qwen3-30B-A3B", "google/gemma-4-E2B-it"):
        report = archlint.lint(shallow(source), offline=True, plan={"target_modules": ["q_proj"]}, select=["ARC101"])
        assert report.model is not None
        assert report.recipe is not None
        assert report.plan is not None
        assert sum(part.parameters for part in report.modules) == report.model.parameters
        for trial, parts in (
            (report.recipe, [part for part in report.modules if part.recipe]),
            (report.plan, [part for part in report.modules if part.plan]),
        ):
            assert sorted(trial.adapted) == sorted(path for part in parts for path in unfold(part.sites.pattern))
