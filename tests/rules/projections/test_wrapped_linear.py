"""ARC101: what the installed PEFT does with a wrapper, and with the linear inside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from peft import LoraConfig, get_peft_model
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn

import archlint
from archlint import Example
from archlint.core.finding import Evidence, Remedy, Severity
from archlint.core.safety import Safety
from archlint.core.surgery import Way
from archlint.fixtures.toys.projections import WIDTH, Dense
from archlint.fixtures.toys.towers import Captioner
from archlint.rules.projections.wrapped_linear import WrappedLinear
from archlint.testing import findings


def test_peft_refuses_the_wrapper(adapt: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=r"(?s)ClampedLinear.*is not supported"):
        adapt("projections.Wrapped", target_modules=["q_proj"])


def test_the_linear_inside_is_trained(adapt: Callable[..., Any], gradients: Callable[..., dict[str, bool]]) -> None:
    (finding,) = findings(WrappedLinear, Example("toy:projections.Wrapped"))
    inner = next(remedy.value for remedy in finding.remedies if remedy.plan is not None)
    got = gradients(adapt("projections.Wrapped", target_modules=inner))
    assert len(got) == 4
    assert all(got.values())
    assert all(".q_proj.linear." in name for name in got)


def test_both_towers_are_one_finding(shallow: Callable[[str], str]) -> None:
    (finding,) = findings(WrappedLinear, Example(shallow("google/gemma-4-E2B-it")))
    assert (finding.severity, finding.evidence, finding.count) == (Severity.ERROR, Evidence.INJECTED, 17)
    by_role = {role: sum(fold.count for fold in finding.sites if fold.role == role) for role in ("vision", "audio")}
    assert by_role == {"vision": 7, "audio": 10}
    assert {fold.type for fold in finding.sites} == {"Gemma4ClippableLinear"}
    assert finding.location is not None
    assert finding.location.file.endswith("modeling_gemma4.py")


def test_a_single_tower(shallow: Callable[[str], str]) -> None:
    (finding,) = findings(WrappedLinear, Example(shallow("google/gemma-4-31B-it")))
    assert finding.count == 189


def test_wrappers_behind_the_first_refused_module_count_too() -> None:
    plan = {"target_modules": ["layers", "q_proj"]}
    (finding,) = findings(WrappedLinear, Example("toy:projections.Wrapped", plan=plan))
    assert "ModuleList" in finding.proof[0], "PEFT stopped before it came to the wrapper"


def test_the_users_plan_keeps_its_names_without_the_towers(shallow: Callable[[str], str]) -> None:
    model, plan = shallow("google/gemma-4-E2B-it"), {"target_modules": ["q_proj", "v_proj"], "r": 4}
    (finding,) = findings(WrappedLinear, Example(model, plan=plan))
    (kept,) = (remedy for remedy in finding.remedies if remedy.kind == "exclude_modules")
    assert kept.plan == {**plan, "exclude_modules": kept.value}
    assert findings(WrappedLinear, Example(model, plan=kept.plan)) == []


class Plain(nn.Module):
    """Hands its input on."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(WIDTH, WIDTH)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.linear(hidden)


class Scaled(Plain):
    """Makes its output smaller."""

    def forward(self, hidden: Tensor) -> Tensor:
        return self.linear(hidden) * 0.5


def model(wrapper: type[nn.Module]) -> nn.Module:
    made = Dense()
    for layer in made.layers:
        layer.q_proj = wrapper()
    return made


@cache
def remedies(wrapper: type[nn.Module]) -> tuple[Remedy, ...]:
    plan = {"target_modules": ["q_proj"]}
    (finding,) = archlint.lint(model(wrapper), plan=plan, select=["ARC101"], trainers=[]).findings
    return finding.remedies


@pytest.mark.parametrize("wrapper", [Plain, Scaled])
def test_targets_come_first_then_patches_the_exact_before_the_lossy(wrapper: type[nn.Module]) -> None:
    found = remedies(wrapper)
    kinds = [remedy.kind for remedy in found]
    patches = [remedy for remedy in found if remedy.kind == "patch"]

    assert any(remedy.value == r".*\.q_proj\.linear" and remedy.safety is Safety.EXACT for remedy in found)
    assert kinds == sorted(kinds, key=lambda kind: kind == "patch")
    assert [one.safety for one in patches] == sorted((one.safety for one in patches), key=lambda one: one.value)
    assert all(one.proven for one in patches)


def test_a_wrapper_that_hands_on_is_unwrapped_exactly_and_need_not_be_kept() -> None:
    patches = [remedy for remedy in remedies(Plain) if remedy.kind == "patch"]

    assert [one.value for one in patches] == [
        "archlint.patch(model, way='unwrap')",
        "archlint.patch(model, way='register')",
    ]
    assert {one.safety for one in patches} == {Safety.EXACT}
    assert patches[0].text == "or unwrap after loading: archlint.patch(model, way='unwrap')"


def test_what_a_lossy_patch_changes_is_measured() -> None:
    patches = {remedy.value: remedy for remedy in remedies(Scaled) if remedy.kind == "patch"}
    effects = {one.way: one.effect for one in archlint.surgeries(model(Scaled)) if one.sites[0].type.name == "Scaled"}
    unwrap, keep = effects[Way.UNWRAP], effects[Way.KEEP]
    assert unwrap is not None
    assert keep is not None

    assert next(iter(patches)) == "archlint.patch(model, way='register')"
    told = patches["archlint.patch(model, way='unwrap')"]
    assert told.safety is Safety.LOSSY
    assert f"; outputs change by up to {unwrap.forward.figure} of their standard deviations" in told.text
    told = patches["archlint.patch(model, way='keep')"]
    assert told.safety is Safety.LOSSY
    assert "; outputs change" not in told.text
    assert told.text.endswith(
        f"; once merged outputs change by up to {keep.merged.figure} of their standard deviations"
    )


def test_a_live_model_is_patched_from_python_and_a_source_from_the_command_line(tmp_path: Path) -> None:
    config = {
        "model_type": "kyutai_speech_to_text",
        "architectures": ["KyutaiSpeechToTextForConditionalGeneration"],
        "vocab_size": 64,
        "hidden_size": 32,
        "ffn_dim": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "head_dim": 8,
        "codebook_vocab_size": 20,
        "num_codebooks": 2,
        "audio_pad_token_id": 19,
        "audio_bos_token_id": 18,
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    plan = {"target_modules": ["q_proj"]}
    (finding,) = archlint.lint(tmp_path, plan=plan, select=["ARC101"], trainers=[], offline=True).findings

    calls = [remedy.value for remedy in finding.remedies if remedy.kind == "patch"]
    assert calls == [f"archlint patch {tmp_path} --way unwrap", f"archlint patch {tmp_path} --way register"]
    assert all(str(remedy.value).startswith("archlint.patch(") for remedy in remedies(Plain) if remedy.kind == "patch")


def adapted(made: nn.Module, **lora: Any) -> set[str]:
    """Paths of what PEFT adapts by the plan ``lora``."""
    return {
        path
        for path, part in get_peft_model(made, LoraConfig(**lora)).base_model.model.named_modules()
        if isinstance(part, BaseTunerLayer)
    }


def inside(made: nn.Module, **arguments: Any) -> Remedy:
    """The remedy of ARC101 that names the linears inside."""
    (finding,) = archlint.lint(made, select=["ARC101"], trainers=[], **arguments).findings
    (remedy,) = (one for one in finding.remedies if "inside" in one.text and one.kind == "target_modules")
    return remedy


def test_a_users_plan_keeps_all_that_it_names_and_the_linears_inside_stand_for_the_wrappers() -> None:
    plan = {"target_modules": ["q_proj", "o_proj"], "r": 4, "exclude_modules": ["layers.0.q_proj"]}
    remedy = inside(model(Scaled), plan=plan)

    assert (remedy.safety, remedy.proven) == (Safety.EXACT, True)
    assert remedy.plan is not None
    assert remedy.plan["r"] == 4
    assert adapted(model(Scaled), **remedy.plan) == {"layers.1.q_proj.linear", "layers.0.o_proj", "layers.1.o_proj"}


def two_wrapped_towers() -> nn.Module:
    made = Captioner()
    for layer in (*made.text.layers, *made.vision.layers):
        layer.q_proj = Scaled()
    return made


def test_of_two_wrapped_towers_that_of_the_scope_is_named() -> None:
    remedy = inside(two_wrapped_towers(), scope="vision")

    assert (remedy.safety, remedy.proven) == (Safety.EXACT, True)
    wanted = {f"vision.layers.{n}.q_proj.linear" for n in range(2)}
    assert adapted(two_wrapped_towers(), target_modules=remedy.value) == wanted


def test_a_users_plan_for_one_of_two_wrapped_towers_leaves_the_wrappers_of_the_other() -> None:
    remedy = inside(two_wrapped_towers(), scope="vision", plan={"target_modules": ["q_proj", "v_proj"]})

    wanted = {f"{part}.layers.{n}.v_proj" for part in ("text", "vision") for n in range(2)}
    wanted |= {f"vision.layers.{n}.q_proj.linear" for n in range(2)}
    assert adapted(two_wrapped_towers(), target_modules=remedy.value) == wanted


def test_ranks_and_alphas_go_inside_with_the_targets() -> None:
    plan = {
        "target_modules": ["q_proj", "o_proj"],
        "r": 4,
        "rank_pattern": {"q_proj": 2},
        "alpha_pattern": {"o_proj": 3},
    }
    remedy = inside(model(Scaled), plan=plan)
    assert remedy.plan is not None
    assert remedy.safety is Safety.EXACT

    made = get_peft_model(model(Scaled), LoraConfig(**remedy.plan)).base_model.model
    layers = {path: part for path, part in made.named_modules() if isinstance(part, BaseTunerLayer)}
    assert {path: (layer.r["default"], layer.lora_alpha["default"]) for path, layer in layers.items()} == {
        **{f"layers.{n}.q_proj.linear": (2, 8) for n in range(2)},
        **{f"layers.{n}.o_proj": (4, 3) for n in range(2)},
    }
