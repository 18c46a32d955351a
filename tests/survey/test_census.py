"""The census: every parameter has one site, and sites say what modules really are."""

from __future__ import annotations

import collections
from functools import cache

import pytest
from accelerate import init_empty_weights
from torch import nn
from transformers import PreTrainedModel

from archlint.core.blueprint import Blueprint, Kind, ModelInfo, Role, Scope, Site, Trait, fold_sites
from archlint.core.folding import unfold
from archlint.core.serial import from_json, to_json
from archlint.fixtures.toys import towers
from archlint.quiet import quiet
from archlint.skeleton import Skeleton, build
from archlint.survey import survey

TYPES = (
    "bert", "bart", "bloom", "clip", "deepseek_v3", "falcon", "falcon_mamba", "gemma2", "gemma3", "gpt2", "gpt_oss",
    "granitemoe", "jamba", "llama", "llama4", "llava", "longcat_flash", "mamba2", "mixtral", "mllama", "moshi", "olmo2",
    "phi3", "phimoe", "qwen2_vl", "qwen3_moe", "qwen3_next", "recurrent_gemma", "rwkv", "siglip", "switch_transformers",
    "t5", "vit", "wav2vec2", "whisper", "xlnet",
)  # fmt: skip
INFO = ModelInfo("model", "type", "", "", 0, 0)


@cache
def surveyed(model_type: str) -> tuple[nn.Module, Blueprint]:
    with quiet():
        skeleton = build({"model_type": model_type})
        return skeleton.model, survey(skeleton, INFO)


def survey_of(model: nn.Module) -> Blueprint:
    with quiet():
        return survey(Skeleton(model), INFO)


def weight_names(site: Site) -> list[str]:
    if site.is_parameter:
        return [site.path]
    return [f"{site.path}.{weight.name}" if site.path else weight.name for weight in site.weights]


@pytest.mark.parametrize("model_type", TYPES)
def test_every_parameter_belongs_to_exactly_one_site(model_type: str) -> None:
    model, blueprint = surveyed(model_type)
    owners = collections.Counter(name for site in blueprint.sites for name in weight_names(site))
    assert set(owners) == {name for name, _ in model.named_parameters(remove_duplicate=False)}
    assert max(owners.values()) == 1
    assert sum(site.size for site in blueprint.sites) == sum(p.numel() for p in model.parameters())
    assert {site.path for site in blueprint.sites if not site.is_parameter} == {n for n, _ in model.named_modules()}


@pytest.mark.parametrize("model_type", TYPES)
def test_folds_unfold_to_exactly_the_paths(model_type: str) -> None:
    _, blueprint = surveyed(model_type)
    unfolded = [path for fold in fold_sites(blueprint.sites) for path in unfold(fold.pattern)]
    assert sorted(unfolded) == sorted(site.path for site in blueprint.sites)


@pytest.mark.parametrize("model_type", ["gemma3", "qwen3_moe"])
def test_a_blueprint_survives_json(model_type: str) -> None:
    _, blueprint = surveyed(model_type)
    assert from_json(Blueprint, to_json(blueprint)) == blueprint


@pytest.mark.parametrize("model_type", TYPES)
def test_what_is_called_supported_has_a_lora_layer_in_peft(model_type: str) -> None:
    """One module of each class and kind is adapted for real; PEFT takes it exactly when the site says so."""
    from peft import LoraConfig, inject_adapter_in_model

    model, blueprint = surveyed(model_type)
    one_each = {(site.type, site.kind): site for site in blueprint.sites if site.weights and not site.is_parameter}
    for site in one_each.values():
        if not site.path or site.leaf in ("out_proj", "conv1d"):  # names that PEFT refuses for some types
            continue
        alone = nn.ModuleDict({"it": model.get_submodule(site.path)})
        try:
            with quiet():
                inject_adapter_in_model(LoraConfig(target_modules=["it"]), alone, low_cpu_mem_usage=True)
            taken = True
        except ValueError as refusal:  # of a layer that it has a class for, PEFT may still refuse the settings
            taken = "is not supported. Currently, only" not in str(refusal)
        assert taken is (Trait.SUPPORTED in site.traits), site


class TestKinds:
    @pytest.mark.parametrize(
        ("model_type", "path", "kind"),
        [
            ("llama", "model.layers.0.self_attn.q_proj", Kind.LINEAR),
            ("llama", "model.layers.0.input_layernorm", Kind.NORM),
            ("llama", "model.embed_tokens", Kind.EMBEDDING),
            ("llama", "lm_head", Kind.HEAD),
            ("gpt2", "transformer.h.0.attn.c_attn", Kind.CONV1D),
            ("falcon", "transformer.h.0.self_attention.query_key_value", Kind.LINEAR_SUBCLASS),
            ("moshi", "model.layers.0.self_attn.q_proj", Kind.WRAPPER),
            ("qwen3_moe", "model.layers.0.mlp.experts.gate_up_proj", Kind.FUSED_EXPERTS),
            ("qwen3_moe", "model.layers.0.mlp.gate", Kind.ROUTER),
            ("qwen3_moe", "model.layers.0.mlp.gate.weight", Kind.ROUTER),
            ("llama4", "language_model.model.layers.1.feed_forward.router", Kind.ROUTER),
            ("phimoe", "model.layers.0.mlp.router", Kind.ROUTER),
            ("qwen3_next", "model.layers.0.mlp.shared_expert_gate", Kind.GATE),
            ("longcat_flash", "model.layers.0.mlp.experts.down_proj", Kind.FUSED_EXPERTS),
            ("longcat_flash", "model.layers.0.mlp.router.classifier", Kind.ROUTER),
            ("recurrent_gemma", "model.layers.0.temporal_block.rg_lru.input_gate_weight", Kind.RAW_PROJECTION),
            ("xlnet", "transformer.layer.0.rel_attn.q", Kind.RAW_PROJECTION),
            ("siglip", "vision_model.head.attention", Kind.ATTENTION),
            ("mamba2", "backbone.layers.0.mixer.conv1d", Kind.CONV),
        ],
    )
    def test_of_published_architectures(self, model_type: str, path: str, kind: Kind) -> None:
        _, blueprint = surveyed(model_type)
        assert blueprint.by_path[path].kind is kind

    def test_layers_that_are_no_mixture_have_no_routers(self) -> None:
        for model_type in ("llama", "bert", "t5", "clip", "vit", "xlnet", "whisper"):
            _, blueprint = surveyed(model_type)
            assert not blueprint.select(Kind.ROUTER, Kind.GATE, Kind.FUSED_EXPERTS)

    def test_a_module_that_adds_a_residual_is_no_wrapper(self) -> None:
        class Output(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.dense = nn.Linear(4, 4)

            def forward(self, hidden, residual):  # type: ignore[no-untyped-def]
                return self.dense(hidden) + residual

        blueprint = survey_of(nn.ModuleDict({"output": Output()}))
        assert blueprint.by_path["output"].kind is Kind.OTHER

    def test_a_linear_whose_forward_groups_its_inputs_is_not_linear_shaped(self) -> None:
        class Grouped(nn.Linear):
            def forward(self, x):  # type: ignore[no-untyped-def, override]
                groups = x.unflatten(-1, (2, -1))
                return groups @ self.weight.T

        blueprint = survey_of(nn.ModuleDict({"grouped": Grouped(4, 4), "plain": nn.Linear(4, 4)}))
        assert Trait.LINEAR_SHAPED not in blueprint.by_path["grouped"].traits
        assert blueprint.by_path["grouped"].kind is Kind.LINEAR_SUBCLASS


class TestRoles:
    @pytest.mark.parametrize(
        ("model_type", "path", "role"),
        [
            ("llava", "model.vision_tower.encoder.layers.0.self_attn.q_proj", Role.VISION),
            ("llava", "model.multi_modal_projector.linear_1", Role.PROJECTOR),
            ("llava", "model.language_model.layers.0.self_attn.q_proj", Role.TEXT),
            ("llava", "model.language_model.embed_tokens", Role.EMBEDDING),
            ("llava", "lm_head", Role.HEAD),
            ("whisper", "model.encoder.layers.0.self_attn.q_proj", Role.AUDIO),
            ("whisper", "model.decoder.layers.0.self_attn.q_proj", Role.TEXT),
            ("clip", "text_model.encoder.layers.0.mlp.fc1", Role.TEXT),
            ("clip", "vision_model.encoder.layers.0.mlp.fc1", Role.VISION),
            ("vit", "layers.0.attention.q_proj", Role.VISION),
            ("bert", "cls.predictions.transform.dense", Role.HEAD),
            ("t5", "encoder.block.0.layer.0.SelfAttention.q", Role.TEXT),
            ("sam", "mask_decoder.transformer.layers.0.self_attn.q_proj", Role.VISION),
        ],
    )
    def test_of_published_architectures(self, model_type: str, path: str, role: Role) -> None:
        _, blueprint = surveyed(model_type)
        assert blueprint.by_path[path].role is role

    @pytest.mark.parametrize(
        ("model_type", "scope"),
        [
            ("llama", Scope.TEXT),
            ("llava", Scope.TEXT),
            ("vit", Scope.VISION),
            ("wav2vec2", Scope.AUDIO),
            ("sam", Scope.VISION),
        ],
    )
    def test_the_scope_is_the_text_where_there_is_any(self, model_type: str, scope: Scope) -> None:
        assert surveyed(model_type)[1].scope is scope

    def test_a_class_that_declares_nothing_has_the_roles_of_its_parts(self) -> None:
        class Whole(PreTrainedModel):
            config_class = towers.PairConfig

            def __init__(self, inner: nn.Module) -> None:
                super().__init__(inner.config)
                self.model = inner

        blueprint = survey_of(Whole(towers.Contrastive()))
        roles = {path: blueprint.by_path[path].role for path in blueprint.by_path if path.startswith("model.")}
        assert roles["model.text.layers.0.q_proj"] is Role.TEXT
        assert roles["model.vision.layers.0.q_proj"] is Role.VISION
        assert roles["model.connector"] is Role.PROJECTOR

    def test_a_plain_module_is_text(self) -> None:
        assert survey_of(nn.Sequential(nn.Linear(2, 2))).by_path["0"].role is Role.TEXT


def test_a_tied_weight_counts_once() -> None:
    _, blueprint = surveyed("gpt2")
    head = blueprint.by_path["lm_head"]
    assert head.weights[0].tied_to == "transformer.wte.weight"
    assert head.size == 0


def test_the_line_of_a_class_is_where_it_is_defined() -> None:
    import inspect

    model, blueprint = surveyed("moshi")
    site = blueprint.by_path["model.layers.0.self_attn.q_proj"]
    cls = type(model.get_submodule(site.path))
    assert site.type.line == inspect.getsourcelines(cls)[1]
    assert site.type.file is not None
    assert site.type.file.startswith("transformers/models/moshi/")


def test_experts_in_a_list_are_marked() -> None:
    class Expert(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up, self.down = nn.Linear(8, 16), nn.Linear(16, 8)

    class Mixture(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gate = nn.Linear(8, 4)
            self.shared_gate = nn.Linear(8, 1)
            self.experts = nn.ModuleList(Expert() for _ in range(4))

        def forward(self, hidden):  # type: ignore[no-untyped-def]
            return self.gate(hidden).topk(2)

    with init_empty_weights(include_buffers=True):
        blueprint = survey_of(nn.ModuleDict({"mlp": Mixture()}))
    assert blueprint.by_path["mlp.gate"].kind is Kind.ROUTER
    assert blueprint.by_path["mlp.shared_gate"].kind is Kind.GATE
    assert Trait.EXPERT in blueprint.by_path["mlp.experts.3.up"].traits
    assert Trait.MOE_BLOCK in blueprint.by_path["mlp"].traits


@pytest.mark.parametrize(
    ("model_type", "path", "bypassed"),
    [
        ("longcat_flash", "model.layers.0.mlp.router.classifier", True),
        pytest.param(
            *("mamba", "backbone.layers.0.mixer.dt_proj", True),
            marks=pytest.mark.since("transformers", "5.15", "this layer is not called"),
        ),
        ("falcon_mamba", "backbone.layers.0.mixer.dt_proj", False),  # called where its kernels are not installed
        ("jamba", "model.layers.0.mamba.dt_proj", False),
        ("siglip", "vision_model.head.attention.out_proj", True),
        ("llama", "model.layers.0.self_attn.q_proj", False),
    ],
)
def test_linears_whose_weight_alone_is_used(model_type: str, path: str, bypassed: bool) -> None:
    _, blueprint = surveyed(model_type)
    assert (Trait.BYPASSED in blueprint.by_path[path].traits) is bypassed
