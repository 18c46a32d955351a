"""A model cut short shows what the whole one shows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from torch import nn

from archlint.core.blueprint import ModelInfo
from archlint.core.trial import Plan, Trial
from archlint.proving import Prover, prover
from archlint.quiet import quiet
from archlint.running.depth import Cut, Depth
from archlint.skeleton import build
from archlint.survey import survey

DEEP: dict[str, dict[str, Any]] = {
    "llama": {"num_hidden_layers": 6},
    "gemma2": {"num_hidden_layers": 6},
    "qwen3_next": {"num_hidden_layers": 8},
    "deepseek_v3": {"num_hidden_layers": 6},
    "glm4_moe": {"num_hidden_layers": 4},
    "gpt_oss": {"num_hidden_layers": 4},
    "phimoe": {"num_hidden_layers": 4},
    "llama4_text": {"num_hidden_layers": 4},
    "longcat_flash": {"num_layers": 3},
    "glm_moe_dsa": {"num_hidden_layers": 5},
    "jamba": {"num_hidden_layers": 8},
    "bamba": {"num_hidden_layers": 6, "attn_layer_indices": [1, 4]},
    "mamba": {"num_hidden_layers": 5},
    "gemma3n_text": {"num_hidden_layers": 10, "num_kv_shared_layers": 5},
    "mllama": {
        "text_config": {"model_type": "mllama_text_model", "num_hidden_layers": 8, "cross_attention_layers": [3, 6]}
    },
    "bert": {"num_hidden_layers": 4},
    "t5": {},
    "bart": {"encoder_layers": 3, "decoder_layers": 3},
    "reformer": {},
    "big_bird": {"num_hidden_layers": 4},
    "modernbert": {"num_hidden_layers": 6},
    "gpt_neo": {"num_layers": 4, "attention_types": [[["global", "local"], 2]]},
}
"""Model types with something of each sort, deep enough for a cut to take layers away."""

WITHOUT_OUT_PROJ = ["in_proj", "x_proj", "dt_proj"]
TARGETS = {"mamba": WITHOUT_OUT_PROJ}
"""What PEFT takes where it refuses what all-linear reaches."""


def tried(model_type: str, plan: Plan) -> Trial:
    with quiet():
        skeleton = build({"model_type": model_type, **DEEP[model_type]})
        blueprint = survey(skeleton, ModelInfo(model_type, "type", "", "", 0, 0))
        return Prover(skeleton.model, blueprint).try_plan(plan)


@contextmanager
def full_depth(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    @contextmanager
    def uncut(*_: Any, **__: Any) -> Iterator[bool]:
        yield False

    with monkeypatch.context() as patch:
        patch.setattr(Depth, "cut", uncut)
        patch.setattr(prover, "is_sparing", lambda plan: False)
        yield


@pytest.mark.parametrize("model_type", DEEP)
def test_a_cut_shows_what_the_full_depth_shows(model_type: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan("any", {"target_modules": TARGETS.get(model_type, "all-linear")})
    cut = tried(model_type, plan)
    with full_depth(monkeypatch):
        full = tried(model_type, plan)
    assert full.forward != "unavailable"
    assert (cut.forward, cut.crash, cut.dead) == (full.forward, full.crash, full.dead)


@pytest.fixture
def layered() -> nn.Module:
    """Seven layers: five of one kind, two with a flag that the others lack."""

    class Layer(nn.Module):
        def __init__(self, flag: bool) -> None:
            super().__init__()
            self.flag = flag
            self.proj = nn.Linear(2, 2)

    model = nn.Module()
    model.layers = nn.ModuleList(Layer(index in (2, 5)) for index in range(7))
    return model


def remaining(model: nn.Module, layers: list[nn.Module]) -> list[int]:
    return [layers.index(layer) for layer in model.layers]  # type: ignore[union-attr, arg-type]


@pytest.mark.parametrize(
    ("how", "times", "kept"),
    [
        (Cut.KINDS, 1, [0, 2, 5, 6]),
        (Cut.KINDS, 2, [0, 1, 2, 4, 5, 6]),
        (Cut.PREFIX, 1, [0, 1, 2]),
        (Cut.PREFIX, 2, [0, 1, 2, 3, 4, 5]),
        (Cut.NONE, 1, [0, 1, 2, 3, 4, 5, 6]),
    ],
)
def test_each_kind_is_kept(layered: nn.Module, how: Cut, times: int, kept: list[int]) -> None:
    layers = list(layered.layers)  # type: ignore[arg-type]
    depth = Depth(layered)
    with depth.cut(how, times=times) as is_cut:
        assert remaining(layered, layers) == kept
        assert is_cut is (len(kept) < 7)
        assert [name for name, _ in layered.layers.named_children()] == [str(n) for n in range(len(kept))]  # type: ignore[union-attr]
    assert remaining(layered, layers) == list(range(7))


def test_layers_with_adapters_in_other_places_are_another_kind(layered: nn.Module) -> None:
    layers = list(layered.layers)  # type: ignore[arg-type]
    with Depth(layered).cut(Cut.KINDS, ["layers.0.proj", "layers.2.proj"]):
        assert remaining(layered, layers) == [0, 1, 2, 5, 6]


def test_layers_are_put_back_after_a_crash(layered: nn.Module) -> None:
    with pytest.raises(ValueError, match="on the way"), Depth(layered).cut(Cut.KINDS):
        raise ValueError("on the way")
    assert len(layered.layers) == 7  # type: ignore[arg-type]


def test_the_ways_to_run_a_model_end_in_the_full_depth(layered: nn.Module) -> None:
    assert Depth(layered).cuts() == [Cut.KINDS, Cut.PREFIX, Cut.NONE]
    assert Depth(nn.Linear(2, 2)).cuts() == [Cut.NONE]


def test_settings_by_layer_go_along_with_the_layers(layered: nn.Module) -> None:
    class Config:
        layer_types: list[str]

    config = Config()
    config.layer_types = list("abcdefg")
    layered.config = config  # type: ignore[assignment]
    with Depth(layered).cut(Cut.KINDS):
        assert config.layer_types == ["a", "c", "f", "g"]
    assert config.layer_types == list("abcdefg")


def test_the_same_module_of_every_like_layer(layered: nn.Module) -> None:
    depth = Depth(layered)
    assert list(depth.alike("layers.2.proj")) == ["layers.2.proj", "layers.5.proj"]
    assert list(depth.alike("elsewhere")) == ["elsewhere"]


def test_a_death_counts_everywhere_only_where_the_layers_agree_and_something_else_lives(layered: nn.Module) -> None:
    for layer in layered.layers:  # type: ignore[union-attr]
        layer.other = nn.Linear(2, 2)  # type: ignore[union-attr]
    depth = Depth(layered)
    adapted = [f"layers.{index}.{name}" for index in range(7) for name in ("proj", "other")]

    def throughout(*dead: str) -> frozenset[str] | None:
        return depth.dead_throughout(Cut.KINDS, dead, adapted, times=2)

    shown = [f"layers.{n}.proj" for n in (0, 1, 4, 6)]
    assert throughout(*shown) == {f"layers.{n}.proj" for n in (0, 1, 3, 4, 6)}
    assert throughout(shown[0]) is None  # one of four that are alike
    assert throughout(*shown, *(path.replace("proj", "other") for path in shown)) is None  # whole layers
    assert throughout("head") is None
