"""Every class of wrapper that transformers ships goes the whole way, with each surgery that is offered for it.

Which classes are wrappers is what the census says of the models below. Those are small, or parts of theirs are, so
that each is built and run in a moment; that none is missing here is told by the code of transformers.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import transformers

from archlint.core.blueprint import Blueprint, ModelInfo
from archlint.core.safety import Safety
from archlint.core.surgery import Effect, Step, Way
from archlint.proving import Prover
from archlint.quiet import quiet
from archlint.skeleton import build
from archlint.surgery import wrappers
from archlint.surgery.option import Option
from archlint.surgery.verifying import verify
from archlint.surgery.writing import written
from archlint.survey import survey
from archlint.survey.kinds import _HARMLESS

pytestmark = pytest.mark.since("transformers", "5.23", "the wrappers that there are differ")

WAYS = (Way.UNWRAP, Way.KEEP, Way.REGISTER)


@dataclass(frozen=True, eq=False)
class Source:
    """A model type with other values than the default, and the class to build where it is not the usual one."""

    model_type: str
    values: Mapping[str, Any] = field(default_factory=dict)
    class_name: str | None = None

    def __str__(self) -> str:
        return self.model_type


TEXT = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "head_dim": 8,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
VISION = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 56,
    "patch_size": 14,
}


STAGES = {"image_size": 56, "depths": [2, 2], "num_heads": [2, 4], "embed_dim": 16}
PARTS = {"text_config": {**TEXT, "model_type": "llama"}, "vision_config": VISION, "image_token_id": 60}
GEMMA = {**TEXT, "num_hidden_layers": 2, "layer_types": ["sliding_attention", "full_attention"], "sliding_window": 16}
CODES = {
    **{name: value for name, value in TEXT.items() if name != "intermediate_size"},
    "ffn_dim": 64,
    "codebook_vocab_size": 20,
    "num_codebooks": 4,
    "audio_pad_token_id": 19,
    "audio_bos_token_id": 18,
}

SOURCES = (
    Source(
        "clap_audio_model",
        {"depths": [2, 2], "num_hidden_layers": 2, "patch_size": 16, "patch_stride": [16, 16]},
        "ClapAudioModel",
    ),
    Source("data2vec-vision", VISION),
    Source("donut-swin", STAGES),
    Source(
        "ernie4_5_vl_moe",
        {
            "text_config": {
                "hidden_size": 256,
                "intermediate_size": 64,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "num_key_value_heads": 1,
                "moe_num_experts": 8,
                "moe_intermediate_size": [32, 16],
            },
            "vision_config": {"hidden_size": 32, "intermediate_size": 48, "depth": 2, "num_heads": 2},
        },
    ),
    Source("gemma4_audio", {"num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4}),
    Source("gemma4_vision", {"num_hidden_layers": 2}),
    Source("idefics3", PARTS),
    Source("kyutai_speech_to_text", CODES),
    Source(
        "llama4",
        {
            "text_config": {**TEXT, "num_local_experts": 2, "intermediate_size_mlp": 48},
            "vision_config": {
                **VISION,
                "intermediate_size": 128,
                "projector_input_dim": 32,
                "projector_output_dim": 32,
                "vision_output_dim": 32,
            },
            "image_token_index": 60,
            "boi_token_index": 61,
            "eoi_token_index": 62,
        },
    ),
    Source("maskformer-swin", STAGES),
    Source("mobilevit", {"image_size": 32, "hidden_sizes": [16, 16, 16], "neck_hidden_sizes": [8] * 7}),
    Source("moshi", {**CODES, "num_hidden_layers": 2}),
    Source("paligemma", {**PARTS, "text_config": {**TEXT, "model_type": "gemma"}}),
    Source("perceiver", {"num_self_attends_per_block": 2, "max_position_embeddings": 64, "num_latents": 16}),
    Source("pvt", {"image_size": 32, "depths": [1] * 4, "hidden_sizes": [16] * 4, "num_attention_heads": [1, 1, 2, 2]}),
    Source("qwen2_audio", {"audio_config": {"encoder_layers": 2, "max_source_positions": 16}}),
    Source("reformer", {"axial_pos_shape": [4, 8], "attn_layers": ["local", "local"], "num_hidden_layers": 2}),
    Source("smolvlm", PARTS),
    Source(
        "speecht5",
        {
            "encoder_layers": 1,
            "decoder_layers": 1,
            "conv_dim": [32],
            "conv_stride": [320],
            "conv_kernel": [320],
            "num_conv_pos_embeddings": 4,
        },
    ),
    Source("swin2sr", {"image_size": 16, "depths": [2], "num_heads": [2], "embed_dim": 16, "num_layers": 1}),
    Source("swinv2", STAGES),
    Source("t5gemma", {"encoder": {**GEMMA, "model_type": "t5_gemma_module"}, "decoder": GEMMA}),
    Source(
        "t5gemma2",
        {"encoder": {"text_config": GEMMA, "vision_config": VISION}, "decoder": GEMMA, "image_token_index": 60},
    ),
    Source("timesformer", {"image_size": 56, "num_hidden_layers": 2, "num_frames": 2}),
    Source("bert", TEXT, "BertForNextSentencePrediction"),
    Source("albert", {**TEXT, "embedding_size": 16}, "AlbertForPreTraining"),
    Source(
        "xlnet",
        {"vocab_size": 64, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 48},
        "XLNetForQuestionAnswering",
    ),
    Source(
        "segformer",
        {
            "image_size": 32,
            "depths": [1] * 4,
            "hidden_sizes": [16] * 4,
            "num_attention_heads": [1, 1, 2, 2],
            "decoder_hidden_size": 16,
        },
        "SegformerForSemanticSegmentation",
    ),
)


@dataclass(frozen=True)
class Subject:
    """A model, and what there is for its wrappers: an option of each way for each class."""

    prover: Prover
    blueprint: Blueprint
    options: list[Option]

    def of(self, way: Way) -> list[Option]:
        return [option for option in self.options if option.operation.way is way]

    def effects(self, way: Way) -> list[Effect]:
        return [option.operation.effect for option in self.of(way) if option.operation.effect is not None]

    def verified(self, way: Way) -> dict[str, Step]:
        patch = written(self.of(way), self.blueprint.model, {})
        with quiet():
            return {step.name: step for step in verify(self.prover.model, self.blueprint, patch)}


@cache
def subject(source: Source) -> Subject:
    with quiet():
        skeleton = build({"model_type": source.model_type, **source.values}, class_name=source.class_name)
        blueprint = survey(skeleton, ModelInfo(source.model_type, "", "", "", 0, 0))
        prover = Prover(skeleton.model, blueprint)
        return Subject(prover, blueprint, wrappers.options(skeleton.model, blueprint, prover))


def worst(labels: Iterable[Safety]) -> Safety:
    return Safety.LOSSY if Safety.LOSSY in labels else Safety.EXACT


NOT_OFFERED = {
    **dict.fromkeys(
        ("speecht5", "t5gemma", "t5gemma2"), r"PEFT's layer in its place has no \w+, which the model asks for"
    ),
    **dict.fromkeys(
        ("xlnet", "segformer"), r"it gives \(2, 5, 1\) instead of \(2, 5\)|RuntimeError: .*(size|shapes).*"
    ),
}
"""Why nothing can stand in a wrapper's place: ``get_output_embeddings`` asks it for its linear, or it turns shapes."""
NOT_SAVED = {"t5gemma"}
"""PEFT compares a tied head with the embeddings of the encoder, takes it for untied and lets transformers drop it."""


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_each_way_goes_the_whole_way_and_is_what_its_label_says(source: Source, way: Way) -> None:
    if way is not Way.REGISTER and (lack := NOT_OFFERED.get(source.model_type)) is not None:
        (option,) = subject(source).of(way)
        assert re.fullmatch(lack, option.operation.lack)
        return
    found = subject(source).effects(way)
    assert len(found) == len(subject(source).of(way)) > 0

    steps = subject(source).verified(way)

    failed = [(step.name, step.told) for step in steps.values() if not step.passed]
    if source.model_type in NOT_SAVED:
        assert failed == [("save and load", "lm_head.out_proj.weight has other values")]
    else:
        assert failed == []
    assert "every adapter gets a gradient" in steps["train 3 steps"].told
    merged = worst(effect.merged.safety for effect in found)
    changed = worst([merged, *(effect.forward.safety for effect in found)])
    assert steps["rewrap"].safety is changed
    assert steps["merge"].safety is (Safety.EXACT if way is Way.UNWRAP else merged)
    if way is Way.REGISTER:
        assert steps["adapter on the original"].safety is Safety.EXACT
    else:
        assert steps["forward"].safety is worst(effect.forward.safety for effect in found)
        assert steps["adapter on the original"].safety is changed


def test_no_wrapper_of_transformers_is_missing() -> None:
    """A class that is a wrapper by its own code is here, or it is a part of classes that nobody builds unasked."""
    tried = {option.operation.sites[0].type.name for source in SOURCES for option in subject(source).options}
    by_code = set(_wrappers_by_code())

    assert tried <= by_code
    assert by_code - tried == ELSEWHERE


ELSEWHERE = {
    "AutoformerValueEmbedding",
    "BigBirdOnlyNSPHead",
    "BridgeTowerContrastiveHead",
    "BridgeTowerITMHead",
    "DiffusionGemmaClippableLinear",
    "DinatOutput",
    "ErnieOnlyNSPHead",
    "FNetOnlyNSPHead",
    "FlaubertPoolerStartLogits",
    "InformerValueEmbedding",
    "MegatronBertOnlyNSPHead",
    "MobileBertOnlyNSPHead",
    "PatchTSTMaskPretrainHead",
    "PerceiverAudioPostprocessor",
    "PerceiverClassificationPostprocessor",
    "PerceiverProjectionPostprocessor",
    "PoolFormerFinalPooler",
    "SuperGlueFinalProjection",
    "SuperGlueSelfOutput",
    "T5Gemma2ClassificationHead",
    "T5GemmaClassificationHead",
    "TimeSeriesValueEmbedding",
    "XLMPoolerStartLogits",
}
"""Wrappers by their code that no model type has in the class it is published in: heads for other tasks, and parts of
models that no default config builds. The same arithmetic is tried in ``test_wrappers.py``."""


_CLASS = re.compile(r"^class (\w+)\(.*\bModule\b")
_CHILD = re.compile(
    r"self\.(\w+)(?:: [^=\n]+)? = (?!nn\.(?:Buffer|Dropout|Identity)\b)(?:nn\.|ACT2|[A-Z]\w*[a-z]\w*\()"
)
_LINEAR = re.compile(r"self\.(\w+) = nn\.Linear\(")


def _wrappers_by_code() -> Iterator[str]:
    """Classes of transformers whose code makes one child with weights, a linear, and does little else than call it."""
    folder = Path(transformers.__file__).parent / "models"
    for file in folder.glob("*/modeling_*.py"):
        for text in re.split(r"^(?=\S)", file.read_text(encoding="utf-8"), flags=re.MULTILINE):
            found = _CLASS.match(text)
            children = set(_CHILD.findall(text)) if found else set()
            if found and len(children) == 1 and children == set(_LINEAR.findall(text)) and _wraps(text, *children):
                yield found[1]


def _wraps(text: str, linear: str) -> bool:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and node.name == "forward":
            calls = {
                getattr(c.func, "attr", getattr(c.func, "id", "")) for c in ast.walk(node) if isinstance(c, ast.Call)
            }
            required = len(node.args.args) - len(("self",)) - len(node.args.defaults)
            return linear in calls and calls <= _HARMLESS | {linear} and required == 1
    return False
