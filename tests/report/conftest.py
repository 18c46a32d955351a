"""Runs to render, made by hand, and the comparison with golden files."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archlint.core.blueprint import Facts, ModelInfo, Scope
from archlint.core.finding import Edit, Evidence, Finding, FoldedSites, LeftOut, Location, PlanLine, Remedy, Severity
from archlint.core.report import Environment, Report, Run, Unchecked
from archlint.core.safety import Safety
from archlint.core.training import Training
from archlint.core.trial import Ground, Plan, Refusal, Trial
from archlint.core.verdicts import Known, verdicts

GOLDEN = Path(__file__).parent / "golden"
ENVIRONMENT = Environment("3.11.7", "2.13.0", "5.23.0", "1.15.0", "0.21.2", None)
TOWERS = r".*(vision_tower|audio_tower|embed_vision|embed_audio).*"
NAMES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
REFUSED = (
    "Target module Gemma4ClippableLinear(\n  (linear): Linear(in_features=768, out_features=768, bias=False)\n) is not "
    "supported. Currently, only the following modules are supported: `torch.nn.Linear`, `torch.nn.Embedding`, "
    "`torch.nn.Conv1d`, `torch.nn.Conv2d`, `torch.nn.Conv3d`, `transformers.pytorch_utils.Conv1D`, "
    "`torch.nn.MultiheadAttention.`."
)


@pytest.fixture(autouse=True)
def _fixed_version(monkeypatch: pytest.MonkeyPatch) -> None:
    for renderer in ("full", "markdown", "sarif"):
        monkeypatch.setattr(f"archlint.report.{renderer}.__version__", "0.0.0")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Compare a text with the file of the test's name; ``ARCHLINT_UPDATE_GOLDEN=1`` writes it anew."""

    def compare(text: str) -> None:
        file = GOLDEN / f"{request.node.name}.txt"
        if os.environ.get("ARCHLINT_UPDATE_GOLDEN"):
            file.write_text(text, encoding="utf-8")
        assert text == file.read_text(encoding="utf-8")

    return compare


@pytest.fixture
def gemma() -> Run:
    """A multimodal model: an error in two towers, a warning, infos, stock trials and a recipe."""
    wrapper = "Gemma4ClippableLinear"
    vision, audio = "model.vision_tower.encoder.layers.{0..15}", "model.audio_tower.layers.{0..11}"
    clipped = (
        FoldedSites(f"{vision}.self_attn.{{q,k,v,o}}_proj", 64, wrapper, "wrapper", "vision"),
        FoldedSites(f"{vision}.mlp.{{gate,up,down}}_proj", 48, wrapper, "wrapper", "vision"),
        FoldedSites(f"{audio}.feed_{{forward1,forward2}}.ffw_layer_{{1,2}}", 48, wrapper, "wrapper", "audio"),
        FoldedSites(f"{audio}.self_attn.{{q_proj,k_proj,v_proj,post}}", 48, wrapper, "wrapper", "audio"),
        FoldedSites(f"{audio}.lconv1d.linear_{{start,end}}", 24, wrapper, "wrapper", "audio"),
    )
    wrapped = Finding(
        "ARC101",
        "wrapped-linear",
        Severity.ERROR,
        "Gemma4ClippableLinear is no nn.Linear; PEFT refuses it",
        "PEFT adapts nn.Linear, not what is wrapped around it: get_peft_model raises and nothing is trained.",
        Evidence.INJECTED,
        clipped,
        Location("transformers/models/gemma4/modeling_gemma4.py", 175),
        (
            Remedy(
                "target_modules",
                "keep the plan away from the wrappers: the recipe below",
                {"target_modules": "all-linear", "exclude_modules": TOWERS},
                proven=True,
                by_recipe=True,
            ),
            Remedy("target_modules", "or train the linears inside as well", r".*_tower\..*\.linear", proven=True),
            Remedy("patch", "or unwrap them, which drops the clamp", safety=Safety.LOSSY),
        ),
        (f"target_modules=['q_proj', 'v_proj'] → ValueError: {' '.join(REFUSED.split())}",),
    )
    tower = Finding(
        "ARC601",
        "tower-targeted",
        Severity.WARNING,
        "all-linear also adapts the towers and their connectors",
        "Memory and time go into parts that a text-only run does not train.",
        Evidence.INJECTED,
        (
            FoldedSites(f"{vision}.self_attn.{{q,k,v,o}}_proj.linear", 64, "Linear", "linear", "vision"),
            FoldedSites("model.embed_{vision,audio}.embedding_projection", 2, "Linear", "linear", "projector"),
        ),
        None,
        (Remedy("exclude_modules", "exclude them with a regular expression", TOWERS, proven=True),),
        ("target_modules='all-linear' → 525 adapters",),
    )
    norms = FoldedSites(
        "model.language_model.layers.{0..34}.{input,post_attention}_layernorm", 70, "Gemma4RMSNorm", "norm", "text"
    )
    infos = (
        Finding("ARC201", "custom-norm", Severity.INFO, "Gemma4RMSNorm is no norm of torch.nn", "", sites=(norms,)),
        Finding(
            "ARC401",
            "tied-embeddings",
            Severity.INFO,
            "lm_head.weight is model.language_model.embed_tokens.weight: training one in full trains both",
            "",
            sites=(FoldedSites("lm_head", 1, "Linear", "head", "head"),),
        ),
        Finding("ARC501", "no-default-targets", Severity.INFO, "PEFT has no default for the type gemma4", ""),
    )
    report = Report(
        source="google/gemma-4",
        model=ModelInfo(
            "google/gemma-4-E2B-it",
            "snapshot",
            "Gemma4ForConditionalGeneration",
            "gemma4",
            5_104_297_504,
            1596,
            family=("google/gemma-4-E4B-it", "google/gemma-4-31B-it"),
            layers={"text": 35, "vision": 16, "audio": 12},
        ),
        findings=(wrapped, tower, *infos),
        recipe=Trial(
            Plan("recipe", {"target_modules": "all-linear", "exclude_modules": TOWERS}),
            adapted=_paths(276),
            coverage=1.0,
            trainable=12_034_048,
            forward="ok",
            ground=Ground.META,
        ),
        stock=(
            Trial(Plan("peft-default"), raised=Refusal("ValueError", "Please specify `target_modules`")),
            Trial(
                Plan("all-linear", {"target_modules": "all-linear"}),
                adapted=_paths(525),
                coverage=1.0,
                outside=249,
                forward="ok",
                dead=_paths(249),
                ground=Ground.META,
            ),
            Trial(Plan("name-list", {"target_modules": NAMES}), raised=Refusal("ValueError", REFUSED)),
        ),
        notes=("google/gemma-4 is a family; its representative google/gemma-4-E2B-it was taken",),
        seconds=2.41,
    )
    return Run(ENVIRONMENT, (report,))


@pytest.fixture
def clean() -> Run:
    """A model that no plan breaks, checked with the user's own plan."""
    lora = {"r": 16, "target_modules": ["q_proj", "v_proj"]}
    model = ModelInfo(
        "meta-llama/Llama-3.1-8B",
        "hub",
        "LlamaForCausalLM",
        "llama",
        8_030_261_248,
        423,
        revision="0e9e39f249a16976918f6564b8830bc894c89659",
        layers={"text": 32},
    )
    recipe = Plan("recipe", {"target_modules": NAMES})
    norms = FoldedSites("model.layers.{0..31}.{input,post_attention}_layernorm", 64, "LlamaRMSNorm", "norm", "text")
    report = Report(
        source="meta-llama/Llama-3.1-8B",
        model=model,
        findings=(
            Finding("ARC201", "custom-norm", Severity.INFO, "LlamaRMSNorm is no norm of torch.nn", "", sites=(norms,)),
        ),
        recipe=Trial(recipe, adapted=_paths(224), coverage=1.0, forward="ok", ground=Ground.META),
        left_out=(
            LeftOut(
                "an adapter gets no gradient: nothing of the loss flows back through it",
                (FoldedSites("model.layers.{0..31}.indexer.{wq_b,wk}", 64, "Linear", "linear", "text"),),
            ),
        ),
        plan=Trial(Plan("user", lora), adapted=_paths(64), coverage=0.0961, forward="ok", ground=Ground.META),
    )
    return Run(ENVIRONMENT, (report,))


PLAN_TEXT = """\
base_model: Qwen/Qwen3-30B-A3B
adapter: lora
lora_r: 16
lora_target_modules: [q_proj, v_proj, gate]
lora_dropout: 0.1  # as in the paper
lora_target_parameters: [mlp.experts.down_proj]
"""


@pytest.fixture
def planned() -> Run:
    """A plan in a trainer's file, with findings that point into it and remedies that change it."""
    file = "runs/train.yml"
    targets = PlanLine(file, 4, "lora_target_modules")
    routers = FoldedSites("model.layers.{0..47}.mlp.gate", 48, "Linear", "router", "text")
    experts = FoldedSites("model.layers.{0..47}.mlp.experts", 48, "Qwen3MoeExperts", "fused-experts", "text")
    lora = {"r": 16, "target_modules": ["q_proj", "v_proj", "gate"], "lora_dropout": 0.1}
    routed = Finding(
        "ARC304",
        "router-targeted",
        Severity.WARNING,
        "the plan adapts 48 routers by the name gate",
        "Training the router changes which experts see which tokens.",
        Evidence.INJECTED,
        (routers,),
        Location("transformers/models/qwen3_moe/modeling_qwen3_moe.py", 210),
        (
            Remedy(
                "target_modules",
                "leave the routers out",
                ["q_proj", "v_proj"],
                proven=True,
                plan={**lora, "target_modules": ["q_proj", "v_proj"]},
                edits=(Edit(file, 4, "lora_target_modules", "lora_target_modules: [q_proj, v_proj]"),),
            ),
        ),
        plan_line=targets,
    )
    dropped = Finding(
        "ARC303",
        "dropout-on-parameters",
        Severity.ERROR,
        "PEFT refuses lora_dropout on bare parameters",
        "get_peft_model raises and nothing is trained.",
        Evidence.INJECTED,
        (experts,),
        remedies=(
            Remedy(
                "setting",
                "train them without dropout",
                safety=Safety.LOSSY,
                proven=True,
                plan={"r": 16},
                edits=(
                    Edit(file, 5, "lora_dropout", ""),
                    Edit(file, 6, "lora_target_parameters", "lora_target_parameters: [mlp.experts.gate_up_proj]"),
                ),
            ),
        ),
        plan_line=PlanLine(file, 5, "lora_dropout"),
    )
    infos = (
        Finding("ARC301", "fused-experts", Severity.INFO, "128 experts in one weight", "", sites=(experts,)),
        Finding("ARC509", "shorter-targets", Severity.INFO, "two names say the same", "", plan_line=targets),
    )
    report = Report(
        source="Qwen/Qwen3-30B-A3B",
        model=ModelInfo(
            "Qwen/Qwen3-30B-A3B", "hub", "Qwen3MoeForCausalLM", "qwen3_moe", 30_532_122_624, 1000, layers={"text": 48}
        ),
        findings=(dropped, routed, *infos),
        plan=Trial(Plan("user", lora), raised=Refusal("ValueError", "lora_dropout must be 0")),
    )
    return Run(ENVIRONMENT, (report,))


@pytest.fixture
def unchecked() -> Run:
    """A source that could not be read."""
    why = "no repository of this name is on the hub; did you mean google/gemma-4-E2B-it?"
    return Run(ENVIRONMENT, (Report(source="gogle/gemma-4", unchecked=(Unchecked("the architecture", why),)),))


@pytest.fixture
def hostile() -> Run:
    """Names with markup, terminal escapes, line breaks and direction marks, wherever a name can be."""
    evil = "[bold red]x[/]\x1b[31m\x1b]0;owned\x07\r\n\u202e{a,b}\ud800é"
    finding = Finding(
        "ARC101",
        "wrapped-linear",
        Severity.ERROR,
        f"{evil} is no nn.Linear",
        evil,
        sites=(FoldedSites(f"model.{evil}.q_proj", 2, evil, "wrapper", "text"),),
        location=Location(evil, 7),
        remedies=(Remedy("target_modules", evil, [evil], proven=True),),
        proof=(evil,),
    )
    info = Finding("ARC201", "custom-norm", Severity.INFO, evil, "", sites=finding.sites)
    plan = Trial(Plan("user", {"target_modules": evil}), raised=Refusal("ValueError", evil))
    file = evil.replace("\ud800", "\udcff")  # a byte that is no UTF-8: what a file's name can hold
    line = PlanLine(file, 3, evil)
    remedy = Remedy("setting", evil, proven=True, edits=(Edit(file, 3, evil, evil), Edit(file, 4, evil, "")))
    refused = Finding("ARC102", "odd-plan", Severity.ERROR, evil, "", remedies=(remedy,), plan_line=line)
    report = Report(
        source=evil,
        model=ModelInfo(evil, "local", evil, evil, 12, 3, revision=evil, family=(evil,), layers={"text": 1}),
        scope=Scope.ALL,
        findings=(finding, refused, info),
        recipe=Trial(Plan("recipe", {"target_modules": [evil, "q_proj"]}), adapted=(evil,), coverage=0.5),
        plan=plan,
        unchecked=(Unchecked(evil, evil),),
        notes=(evil,),
    )
    return Run(ENVIRONMENT, (report,))


@pytest.fixture(params=["gemma", "clean", "planned", "unchecked", "hostile"])
def run(request: pytest.FixtureRequest) -> Run:
    """Each of the runs."""
    made: Run = request.getfixturevalue(request.param)
    return made


@pytest.fixture
def several(gemma: Run, clean: Run, unchecked: Run) -> Run:
    """Three sources in one call."""
    return Run(ENVIRONMENT, (*gemma.reports, *clean.reports, *unchecked.reports))


def trained(report: Report, training: Training, facts: Facts | None = None, **fields: Any) -> Report:
    """``report`` with what was found out for trainers, and what they make of the model by that."""
    report = dataclasses.replace(report, training=training, **fields)
    trials, tried = (report.stock, report.recipe) if report.plan is None else ((report.plan,), report.plan)
    known = Known(training, facts or Facts(), trials, tried, report.findings)
    return dataclasses.replace(report, verdicts=tuple(verdicts(known, ENVIRONMENT.transformers)))


def _paths(count: int) -> tuple[str, ...]:
    return tuple(f"layers.{index}" for index in range(count))
