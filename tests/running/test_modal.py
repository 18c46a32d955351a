"""Batches with pixels and audio: the first that runs makes the part that reads them learn, on meta and for real."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import nn

from archlint.core.blueprint import Role
from archlint.fixtures.toys import projections
from archlint.running.batch import Batch
from archlint.running.depth import Cut, Depth
from archlint.running.modal import modal_batches
from archlint.running.on_meta import runnable
from archlint.running.step import step
from archlint.skeleton import build
from archlint.sources.snapshots import find
from archlint.survey.roles import Roles

TEXT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 256,
}
VISION = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 56,
    "patch_size": 14,
}
SPEECH = {
    "d_model": 32,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 64,
    "num_mel_bins": 16,
    "max_source_positions": 60,
}
ENDS = {"bos_token_id": 2, "eos_token_id": 3, "pad_token_id": 0}

STYLES: dict[str, tuple[Mapping[str, Any], Role]] = {
    "one picture": ({"model_type": "vit", **VISION}, Role.VISION),
    "a picture and its caption": (
        {"model_type": "clip", "text_config": {**TEXT, **ENDS}, "vision_config": VISION},
        Role.VISION,
    ),
    "a picture for a decoder": (
        {"model_type": "blip", "text_config": {**TEXT, **ENDS, "sep_token_id": 3}, "vision_config": VISION},
        Role.VISION,
    ),
    "placeholders for a picture": (
        {
            "model_type": "llava",
            "text_config": {"model_type": "llama", **TEXT},
            "vision_config": {"model_type": "clip_vision_model", **VISION},
            "image_token_index": 250,
        },
        Role.VISION,
    ),
    "a picture in parts, by its size": (
        {
            "model_type": "llava_next",
            "text_config": {"model_type": "llama", **TEXT},
            "vision_config": {"model_type": "clip_vision_model", **VISION},
            "image_grid_pinpoints": [[56, 112], [112, 56], [112, 112]],
            "image_token_index": 250,
        },
        Role.VISION,
    ),
    "several pictures with masks": (
        {
            "model_type": "idefics3",
            "text_config": {"model_type": "llama", **TEXT},
            "vision_config": {**VISION, "image_size": 112},
            "scale_factor": 2,
            "image_token_id": 250,
        },
        Role.VISION,
    ),
    "patches on grids": (
        {
            "model_type": "qwen2_vl",
            "text_config": {
                **TEXT,
                "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]},
            },
            "vision_config": {"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 2, "mlp_ratio": 2},
            "image_token_id": 250,
            "video_token_id": 251,
            "vision_start_token_id": 252,
            "vision_end_token_id": 253,
        },
        Role.VISION,
    ),
    "patches with shapes": (
        {
            "model_type": "siglip2",
            "text_config": {**TEXT, **ENDS, "max_position_embeddings": 64},
            "vision_config": {**VISION, "num_patches": 256},
        },
        Role.VISION,
    ),
    "numbered patches": (
        {
            "model_type": "pix2struct",
            "text_config": {
                "hidden_size": 32,
                "d_kv": 8,
                "d_ff": 64,
                "num_layers": 2,
                "num_heads": 4,
                "vocab_size": 256,
            },
            "vision_config": {
                "hidden_size": 32,
                "d_kv": 8,
                "d_ff": 64,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
            },
        },
        Role.VISION,
    ),
    "tiles for cross-attention": (
        {
            "model_type": "mllama",
            "text_config": {**TEXT, **ENDS, "num_hidden_layers": 3, "cross_attention_layers": [1]},
            "vision_config": {
                "hidden_size": 32,
                "attention_heads": 2,
                "intermediate_size": 64,
                "num_hidden_layers": 2,
                "num_global_layers": 1,
                "intermediate_layers_indices": [0],
                "vision_output_dim": 64,
                "image_size": 56,
            },
            "image_token_index": 250,
        },
        Role.VISION,
    ),
    "a spectrum for a decoder": (
        {
            "model_type": "whisper",
            **SPEECH,
            **ENDS,
            "decoder_layers": 2,
            "decoder_attention_heads": 2,
            "decoder_ffn_dim": 64,
            "decoder_start_token_id": 2,
            "vocab_size": 256,
            "suppress_tokens": None,
        },
        Role.AUDIO,
    ),
    "samples": (
        {
            "model_type": "wav2vec2",
            **TEXT,
            "conv_dim": [16] * 7,
            "num_conv_pos_embedding_groups": 2,
            "num_conv_pos_embeddings": 16,
        },
        Role.AUDIO,
    ),
    "placeholders for a sound": (
        {
            "model_type": "qwen2_audio",
            "text_config": {"model_type": "qwen2", **TEXT},
            "audio_config": SPEECH,
            "audio_token_index": 250,
        },
        Role.AUDIO,
    ),
}


def first_that_runs(model: nn.Module, *roles: Role, cut: Cut = Cut.NONE) -> Batch:
    """The batch that is used; the model is left with its gradients."""
    raised = []
    depth = Depth(model)
    for batch in modal_batches(model, roles):
        try:
            with depth.cut(cut), runnable(model):
                step(model, batch, "meta")
        except Exception as error:
            raised.append(error)
        else:
            return batch
    raise AssertionError(raised)


def learning(model: nn.Module, role: Role) -> list[str]:
    """The parameters of the part for ``role`` that have a gradient."""
    roles = Roles(model)
    return [
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is not None and roles.of(name.rpartition(".")[0]) is role
    ]


@pytest.mark.parametrize("style", STYLES)
def test_the_first_batch_that_runs_reaches_the_tower(style: str) -> None:
    config, role = STYLES[style]
    model = build(config).model
    batch = first_that_runs(model, role)
    assert role in batch.roles
    assert learning(model, role)


@pytest.mark.parametrize("style", STYLES)
def test_the_same_batch_runs_for_real(style: str) -> None:
    config, role = STYLES[style]
    model = build(config).model
    batch = first_that_runs(model, role)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        real = type(model)(model.config)
        step(real, batch, "cpu")
    assert set(learning(real, role)) == set(learning(model, role))


@pytest.mark.parametrize("roles", [{Role.AUDIO}, {Role.VISION, Role.AUDIO}], ids=len)
def test_a_model_with_several_towers_gets_what_is_asked_for(roles: set[Role]) -> None:
    snapshot = find("google/gemma-4-E2B-it")
    assert snapshot is not None
    model = build(snapshot.config).model
    batch = first_that_runs(model, *roles, cut=Cut.KINDS)
    assert batch.roles == {Role.TEXT, *roles}
    assert [role for role in (Role.VISION, Role.AUDIO) if learning(model, role)] == [
        role for role in (Role.VISION, Role.AUDIO) if role in roles
    ]


def test_types_that_training_demands_come_after_a_plain_batch() -> None:
    config, role = STYLES["patches on grids"]
    plain, typed, *_ = modal_batches(build(config).model, [role])
    assert (plain.extra, typed.extra) == ((), ("mm_token_type_ids",))
    assert typed.plain() == plain


def test_each_feature_has_a_placeholder() -> None:
    config, role = STYLES["placeholders for a picture"]
    batch = first_that_runs(build(config).model, role)
    assert batch.inputs["input_ids"].eq(250).sum(-1).tolist() == [16, 16]  # 4 × 4 patches of 14 × 14 pixels


def test_a_model_is_left_as_it_was() -> None:
    config, role = STYLES["patches on grids"]
    model = build(config).model
    before = {path: dict(vars(module)) for path, module in model.named_modules()}
    assert list(modal_batches(model, [role]))
    assert {path: dict(vars(module)) for path, module in model.named_modules()} == before


def test_there_is_none_for_a_class_that_takes_tokens_only() -> None:
    assert list(modal_batches(projections.Dense(), [Role.VISION, Role.AUDIO])) == []


@pytest.mark.parametrize(
    ("model_type", "class_name", "role", "beside"),
    [
        ("deepseek_vl_hybrid", None, Role.VISION, "high_res_pixel_values"),
        ("speecht5", "SpeechT5ForSpeechToSpeech", Role.AUDIO, "decoder_input_values"),
    ],
)
def test_what_a_class_wants_twice_is_given_twice(
    model_type: str, class_name: str | None, role: Role, beside: str
) -> None:
    model = build({"model_type": model_type}, class_name=class_name).model
    assert beside in first_that_runs(model, role).inputs
    assert learning(model, role)
