"""Recipes: what PEFT takes, covers the scope and touches nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from accelerate import init_empty_weights
from torch import nn

from archlint.core.blueprint import Blueprint, Kind, ModelInfo, Role, Scope, matrix_size
from archlint.core.stock import STOCK_PLANS
from archlint.core.trial import Plan, Trial
from archlint.fixtures.toys import running
from archlint.proving import Prover
from archlint.quiet import quiet
from archlint.skeleton import Skeleton, build
from archlint.solving.solve import Solution, solve
from archlint.sources import SourceOptions, resolve
from archlint.survey import survey

GOOD = (
    "llama", "gemma2", "gpt2", "falcon", "bert", "t5", "bart", "bloom", "mixtral", "qwen3_moe", "qwen3_next",
    "deepseek_v3",
    "gpt_oss", "jamba", "granitemoe", "llama4", "phimoe", "llava", "mllama", "qwen2_vl", "gemma3", "whisper", "moshi",
    "longcat_flash", "reformer", "olmoe", "switch_transformers", "mamba2",
)  # fmt: skip
FEWER: dict[str, dict[str, Any]] = {
    "deepseek_v3": {"num_hidden_layers": 5},
    "gemma3": {"text_config": {"num_hidden_layers": 6}, "vision_config": {"num_hidden_layers": 2}},
    "gpt_oss": {"num_hidden_layers": 2},
    "jamba": {"num_hidden_layers": 8},
    "llama4": {"text_config": {"num_hidden_layers": 4}, "vision_config": {"num_hidden_layers": 2}},
    "llava": {"text_config": {"num_hidden_layers": 2}, "vision_config": {"num_hidden_layers": 4}},
    "longcat_flash": {"num_layers": 2},
    "mamba": {"num_hidden_layers": 2},
    "mamba2": {"num_hidden_layers": 2},
    "mllama": {
        "text_config": {"num_hidden_layers": 5, "cross_attention_layers": [3]},
        "vision_config": {"num_hidden_layers": 2, "num_global_layers": 1, "intermediate_layers_indices": [0, 1]},
    },
    "qwen2_vl": {"text_config": {"num_hidden_layers": 2}, "vision_config": {"depth": 2}},
    "qwen3_next": {"num_hidden_layers": 4},
}
"""Depths at which each kind of layer is there, for types that are deep or costly by default."""


WITHOUT = {"mamba2": 0.6, "mllama": 0.8}
"""Where PEFT refuses Mamba's out_proj, and where attention to images is idle on text."""
NO_GRADIENT = ("reformer",)
"""Reversible layers run under no_grad unless their input asks for a gradient, which frozen embeddings do not."""


@cache
def solution_of(model_type: str, scope: Scope | None) -> tuple[Blueprint, Solution]:
    with quiet():
        skeleton = build({"model_type": model_type, **FEWER.get(model_type, {})})
        blueprint = survey(skeleton, ModelInfo(model_type, "type", "", "", 0, 0), scope)
        return blueprint, solve(blueprint, Prover(skeleton.model, blueprint))


def solved(model_type: str, scope: Scope | None = None) -> tuple[Blueprint, Trial | None]:
    blueprint, solution = solution_of(model_type, scope)
    return blueprint, solution.trial


@pytest.mark.parametrize("model_type", GOOD)
def test_a_recipe_covers_the_text_and_nothing_else(model_type: str) -> None:
    blueprint, recipe = solved(model_type)
    assert recipe is not None
    assert recipe.raised is None
    assert recipe.coverage >= WITHOUT.get(model_type, 0.95)
    assert recipe.forward == "ok"
    assert len(recipe.dead) == (0 if model_type not in NO_GRADIENT else len(recipe.adapted))
    assert recipe.outside == 0
    touched = [blueprint.by_path[path] for path in recipe.adapted]
    assert not [site for site in touched if site.kind in (Kind.ROUTER, Kind.GATE, Kind.HEAD) or site.role is Role.HEAD]


def solution_for(toy: type[nn.Module]) -> Solution:
    with init_empty_weights(include_buffers=True):
        skeleton = Skeleton(toy())
    blueprint = survey(skeleton, ModelInfo("toy", "object", "", "", 0, 0))
    return solve(blueprint, Prover(skeleton.model, blueprint))


def lora_of(model_type: str, scope: Scope | None = None) -> dict[str, Any]:
    _, recipe = solved(model_type, scope)
    assert recipe is not None
    return dict(recipe.plan.lora)


def test_plain_names_where_they_suffice() -> None:
    assert lora_of("llama") == {
        "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    }


def test_towers_are_excluded_by_a_pattern() -> None:
    assert lora_of("llava")["exclude_modules"] == ".*vision_tower.*"


def test_fused_experts_are_reached_as_parameters() -> None:
    assert lora_of("gpt_oss")["target_parameters"] == ["experts.gate_up_proj", "experts.down_proj"]


def test_linears_that_peft_turns_into_experts_are_reached_by_their_weights() -> None:
    blueprint, recipe = solved("deepseek_v3")
    assert recipe is not None
    assert "down_proj.weight" in recipe.plan.lora["target_parameters"]
    assert "model.layers.0.mlp.down_proj" in recipe.adapted
    assert recipe.coverage == 1.0
    linears = blueprint.select(Kind.LINEAR, Kind.FUSED_EXPERTS, role=Role.TEXT, where=lambda site: bool(site.weights))
    assert set(recipe.adapted) == {site.path for site in linears}


@pytest.mark.parametrize(("model_type", "router"), [("phimoe", "router"), ("longcat_flash", "classifier")])
def test_a_router_that_is_a_linear_is_left_alone(model_type: str, router: str) -> None:
    _, recipe = solved(model_type)
    assert recipe is not None
    assert not [path for path in recipe.adapted if path.endswith(router)]


@pytest.mark.since("transformers", "5.15", "this layer is not called")
def test_a_linear_that_is_never_called_is_left_alone() -> None:
    _, recipe = solved("mamba")
    assert recipe is not None
    assert not [path for path in recipe.adapted if path.endswith("dt_proj")]


@pytest.mark.parametrize("scope", [Scope.VISION, Scope.ALL])
def test_other_scopes(scope: Scope) -> None:
    blueprint, solution = solution_of("llava", scope)
    recipe = solution.trial
    assert recipe is not None
    left_out = [site.pattern for part in solution.left_out for site in part.sites]
    assert left_out
    assert all(".layers.3." in pattern for pattern in left_out)  # the tower's last, which is computed and not used
    assert recipe.dead == ()
    roles = {blueprint.by_path[path].role for path in recipe.adapted}
    assert roles == ({Role.VISION} if scope is Scope.VISION else {Role.VISION, Role.TEXT, Role.PROJECTOR})


def test_all_linear_where_names_would_be_many_and_it_does_the_same(shallow: Callable[[str], str]) -> None:
    config = resolve(shallow("google/gemma-4-E2B-it"), SourceOptions(offline=True)).config
    assert config is not None
    with quiet():
        skeleton = build(config)
        blueprint = survey(skeleton, ModelInfo("gemma", "snapshot", "", "", 0, 0), Scope.ALL)
        judge = Prover(skeleton.model, blueprint)
        recipe = solve(dataclasses.replace(blueprint, stock=judge.try_plans(STOCK_PLANS)), judge).trial
    assert recipe is not None
    assert recipe.plan.lora == {"target_modules": "all-linear"}
    assert recipe.coverage == 1.0
    assert set(recipe.adapted) == {site.path for site in blueprint.projections if site.kind is Kind.LINEAR}


def test_a_new_classifier_is_saved() -> None:
    with quiet():
        skeleton = build({"model_type": "bert", "architectures": ["BertForSequenceClassification"]})
        blueprint = survey(skeleton, ModelInfo("bert", "type", "", "", 0, 0))
        recipe = solve(blueprint, Prover(skeleton.model, blueprint)).trial
    assert recipe is not None
    assert recipe.plan.lora["modules_to_save"] == ["classifier"]
    assert "classifier" in recipe.saved


def test_nothing_to_adapt_is_no_recipe() -> None:
    skeleton = Skeleton(nn.Sequential(nn.LayerNorm(4)))
    blueprint = survey(skeleton, ModelInfo("norm", "object", "", "", 0, 0))
    assert solve(blueprint, Prover(skeleton.model, blueprint)).trial is None


def test_what_peft_refuses_is_left_out() -> None:
    class Judge:
        """Takes anything but the name that Mamba's output projection has."""

        def __init__(self, prover: Prover) -> None:
            self.tried: list[Plan] = []
            self._prover = prover

        def try_plan(self, plan: Plan) -> Trial:
            self.tried.append(plan)
            return self._prover.try_plan(plan)

    with quiet():
        skeleton = build({"model_type": "falcon_mamba", "num_hidden_layers": 2})
        blueprint = survey(skeleton, ModelInfo("mamba", "type", "", "", 0, 0))
        judge = Judge(Prover(skeleton.model, blueprint))
        recipe = solve(blueprint, judge).trial
    assert recipe is not None
    assert "out_proj" not in recipe.plan.lora["target_modules"]
    assert len(judge.tried) == 3  # the last one without dt_proj, whose adapter dies


class Crashing(nn.Module):
    """Two linears in a row; the model itself, above all layers, wants one of them to be plain."""

    def __init__(self, layers: int = 2) -> None:
        super().__init__()
        self.embed = nn.Embedding(8, 4)
        self.layers = nn.ModuleList(
            nn.ModuleDict({"q_proj": nn.Linear(4, 4), "odd": nn.Linear(4, 4)}) for _ in range(layers)
        )

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        hidden: torch.Tensor = self.embed(input_ids)
        for layer in self.layers:
            hidden = layer["q_proj"](layer["odd"](hidden))  # type: ignore[index]
        if any(type(layer["odd"]) is not nn.Linear for layer in self.layers):  # type: ignore[index]
            raise TypeError("only plain linears can be packed")
        return hidden


def test_what_crashes_the_step_somewhere_else_is_found_by_trying() -> None:
    solution = solution_for(Crashing)
    assert solution.trial is not None
    assert solution.trial.plan.lora == {"target_modules": ["q_proj"]}
    assert solution.trial.forward == "ok"
    (odd,) = solution.left_out
    assert odd.count == 2
    assert odd.reason.startswith("adapted, it crashes the training step: TypeError: only plain linears can be packed")


def test_what_dies_is_left_out_with_the_cause() -> None:
    solution = solution_for(running.Indexed)
    assert solution.trial is not None
    assert (solution.trial.forward, solution.trial.dead) == ("ok", ())
    (left,) = solution.left_out
    assert (left.sites[0].pattern, left.count) == ("layers.{0,1}.indexer", 2)
    assert (
        left.reason
        == "an adapter gets no gradient: nothing of the loss flows back through it, as under torch.no_grad()"
    )


@pytest.mark.parametrize("model_type", ["mamba2", "mllama", "phimoe", "jamba"])
def test_every_layer_of_the_scope_is_adapted_or_has_a_reason(model_type: str) -> None:
    blueprint, solution = solution_of(model_type, None)
    assert solution.trial is not None
    told = sum(part.count for part in solution.left_out)
    linears = [site for site in blueprint.projections if matrix_size(site)]
    routers = blueprint.select(Kind.ROUTER, Kind.GATE, where=lambda site: bool(matrix_size(site)))
    assert told == len({site.path for site in (*linears, *routers)} - set(solution.trial.adapted))


class Block(nn.Module):
    """A block that looks at one of its own layers before it uses them."""

    def __init__(self) -> None:
        super().__init__()
        self.q_proj, self.k_proj, self.odd = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        if type(self.odd) is not nn.Linear:
            raise TypeError("only plain linears can be packed")
        product: torch.Tensor = self.odd(self.k_proj(self.q_proj(hidden)))
        return product


class Blocks(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(8, 4)
        self.layers = nn.ModuleList(Block() for _ in range(3))

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        hidden: torch.Tensor = self.embed(input_ids)
        for layer in self.layers:
            hidden = layer(hidden)
        return hidden


def test_siblings_of_what_crashes_are_kept() -> None:
    solution = solution_for(Blocks)
    assert solution.trial is not None
    assert solution.trial.plan.lora == {"target_modules": ["q_proj", "k_proj"]}
    assert solution.trial.forward == "ok"
