"""What archlint promises of well-known models, from the source to the report."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

import archlint
from archlint.core.catalog import Catalog
from archlint.core.finding import Severity
from archlint.core.report import Environment, Report, Run
from archlint.core.trial import USER, Plan
from archlint.engine import Options, checking
from archlint.sources import SourceOptions

HEALTHY = (
    "meta-llama/Llama-3.1-8B-Instruct",
    "meta-llama/Llama-3.2-1B",
    "Qwen/Qwen2.5-7B",
    "Qwen/Qwen3-0.6B",
    "mistralai/Mistral-7B-v0.3",
    "microsoft/Phi-3.5-mini-instruct",
    "google/gemma-2-2b",
    "allenai/OLMo-2-1124-7B",
)


@pytest.mark.parametrize("source", HEALTHY)
def test_silence_on_the_healthy(source: str) -> None:
    report = archlint.lint(source, offline=True)
    assert report.status == "clean"
    assert not report.of(Severity.ERROR)
    assert not report.of(Severity.WARNING)
    assert Run(Environment("3"), (report,)).exit_code(Severity.WARNING) == 0
    assert any(finding.code == "ARC201" for finding in report.of(Severity.INFO)), "their norms are their own"
    assert report.recipe is not None
    assert report.recipe.coverage == 1.0


def test_gemma_4_is_told_before_training() -> None:
    assert_told(archlint.lint("google/gemma-4-E2B-it", offline=True), {"vision": 112, "audio": 120})


def test_a_gemma_4_of_experts_is_told_before_training(shallow: Callable[[str], str]) -> None:
    assert_told(archlint.lint(shallow("google/gemma-4-26B-A4B-it"), offline=True), {"vision": 189, "audio": 0})


def assert_told(report: Report, wrappers: dict[str, int]) -> None:
    """The wrappers of the towers are an error with its line, and there is a recipe without them."""
    (wrapped,) = (finding for finding in report.of(Severity.ERROR) if finding.code == "ARC101")
    by_role = {role: sum(fold.count for fold in wrapped.sites if fold.role == role) for role in wrappers}
    assert by_role == wrappers
    assert {fold.type for fold in wrapped.sites} == {"Gemma4ClippableLinear"}
    assert wrapped.location is not None
    assert wrapped.location.file == "transformers/models/gemma4/modeling_gemma4.py"
    assert _line("class Gemma4ClippableLinear") == wrapped.location.line
    assert any(remedy.proven for remedy in wrapped.remedies)
    assert "ARC601" in {finding.code for finding in report.of(Severity.WARNING)}
    assert report.recipe is not None
    assert report.recipe.coverage >= 0.95
    assert report.recipe.outside == 0


def _line(statement: str) -> int:
    from transformers.models.gemma4 import modeling_gemma4

    with open(modeling_gemma4.__file__, encoding="utf-8") as lines:  # noqa: PTH123
        return next(number for number, line in enumerate(lines, 1) if line.startswith(statement))


@pytest.mark.parametrize("model", ["google/gemma-4-E2B-it", "deepseek-ai/DeepSeek-V3", "Qwen/Qwen3-30B-A3B"])
def test_the_recipe_as_a_plan_is_clean(shallow: Callable[[str], str], model: str) -> None:
    options = Options(rules=Catalog.load().select(None), source=SourceOptions(offline=True))
    with checking(shallow(model), options) as judge:
        recipe = judge(options).recipe
        assert recipe is not None
        report = judge(dataclasses.replace(options, plan=Plan(USER, recipe.plan.lora)))
    assert not report.of(Severity.ERROR)
    assert not report.of(Severity.WARNING)
    assert report.plan is not None
    assert report.plan.coverage == recipe.coverage


def test_a_live_module_is_linted_and_left_alone() -> None:
    import torch
    from torch import nn

    class Clamp(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.clamp(self.linear(x), -1, 1)

    model = nn.ModuleDict({"q_proj": Clamp(), "v_proj": nn.Linear(4, 4)})
    weight = model["v_proj"].weight
    report = archlint.lint(model)
    assert {finding.code for finding in report.of(Severity.ERROR)} == {"ARC101"}
    assert model["v_proj"].weight is weight
    assert type(model["q_proj"]) is Clamp
    assert report.recipe is not None
    assert report.recipe.adapted == ("q_proj.linear", "v_proj")


def test_a_crashing_rule_leaves_the_rest_standing(tmp_path: object) -> None:
    from pathlib import Path

    file = Path(str(tmp_path)) / "broken.py"
    file.write_text(
        "from archlint import Rule\n"
        "from archlint.core.finding import Severity\n"
        "class Broken(Rule):\n"
        "    code, name, severity, why = 'OWN001', 'broken', Severity.INFO, 'It is.'\n"
        "    def check(self, blueprint):\n"
        "        raise RuntimeError('broken on purpose')\n"
    )
    report = archlint.lint("Qwen/Qwen3-0.6B", offline=True, load=[file])
    assert report.status == "unchecked"
    assert "broken on purpose" in report.unchecked[0].why
    assert {"ARC201", "ARC999"} <= {finding.code for finding in report.findings}
    assert Run(Environment("3"), (report,)).exit_code(Severity.ERROR) == 3
    assert report.recipe is not None
