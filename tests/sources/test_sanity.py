"""Absurd sizes are refused, and nothing that a model has."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import pytest
from huggingface_hub.errors import StrictDataclassError
from hypothesis import given
from hypothesis import strategies as st

from archlint.sources import SourceError, snapshots
from archlint.sources.sanity import check_sizes

POSITIVE = [
    *("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size", "intermediate_size"),
    *("n_embd", "d_model", "n_layer", "n_head", "num_layers", "encoder_layers", "encoder_attention_heads", "d_ff"),
]
sizes = st.integers(min_value=1, max_value=2_000)
parts = st.sampled_from([(), ("text_config",), ("thinker_config", "audio_config"), ("perceiver_config",)])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(POSITIVE) | st.text(), inner),
    max_leaves=20,
)


def nest(values: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    for part in reversed(path):
        values = {part: values}
    return values


def refusal(config: Mapping[str, Any]) -> str:
    with pytest.raises(SourceError) as caught:
        check_sizes(config)
    assert len(str(caught.value)) < 400
    return str(caught.value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400])
def test_what_only_looks_like_a_number_of_layers_may_be_any_number(value: float) -> None:
    check_sizes({"token_per_layers": value})


@pytest.mark.parametrize("word", ["n_", "num_layer_", "layers_", "_per_", "x_experts_"])
def test_keys_of_any_length_take_no_time(word: str) -> None:
    check_sizes({word * 500_000: 1})


@given(st.dictionaries(st.sampled_from(POSITIVE), sizes | st.none()), parts)
def test_sizes_of_models_are_fine_at_every_depth(values: dict[str, Any], path: tuple[str, ...]) -> None:
    check_sizes(nest(values, path))


@given(
    st.sampled_from(POSITIVE),
    st.one_of(
        st.integers(max_value=0),
        st.integers(min_value=10**8 + 1),
        st.floats(),
        st.booleans(),
        st.text(),
    ),
    parts,
)
def test_what_is_no_size_is_refused_by_its_path(key: str, value: object, path: tuple[str, ...]) -> None:
    assert refusal(nest({key: value}, path)).startswith(f"config.json: {'.'.join((*path, key))} is ")


def judgement(config: Mapping[str, Any]) -> str | None:
    try:
        check_sizes(config)
    except SourceError as error:
        return str(error)
    return None


@given(json_values)
def test_any_json_is_judged(value: object) -> None:
    judged = judgement({"part": value})
    assert judged is None or re.fullmatch(r"config\.json: [^\n]+", judged)


@pytest.mark.parametrize("snapshot", snapshots.snapshots(), ids=lambda snapshot: snapshot.id)
def test_a_bundled_architecture_is_fine(snapshot: snapshots.Snapshot) -> None:
    check_sizes(snapshot.config)


@pytest.mark.since("transformers", "5.20", "no default configuration asks the hub")
def test_every_default_configuration_is_fine() -> None:
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    checked = 0
    for model_type in CONFIG_MAPPING:
        try:
            config = CONFIG_MAPPING[model_type]()
        except (ImportError, TypeError, ValueError, AttributeError, StrictDataclassError):  # it has no defaults
            continue
        check_sizes(json.loads(json.dumps(config.to_dict(), default=str)), model_type)
        checked += 1
    assert checked > 700


@pytest.mark.parametrize(
    "config",
    [
        {"n_shared_experts": 0, "num_nextn_predict_layers": 0, "num_local_experts": 0},
        {"feat_out": -1, "head_dim": 0, "projection_dim": 0, "type_vocab_size": 0},
        {"vision_feature_layer": -2, "select_layer": -1, "ignore_index": -100, "pad_token_id": -1},
        {"vision_feature_layers": [-2, -5, -8, -11, 6]},
        {"num_hidden_layers": None, "n_inner": None},
        {"intermediate_size": [16384] * 35, "num_attention_heads": [4, 0, 4], "depths": [2, 2, 18, 2]},
        {"num_hidden_layers": {"vision": 5, "language": 9}},
        {"max_position_embeddings": 10_485_760, "rope_theta": 10**9, "window_size": 0.025},
        {"time_step_limit": [0.0, math.inf], "model_max_length": 10**30},
        {"decoder_layers": 6, "encoder_layers": 0},
        {"decoder": {"config_dict": {"vocab_size": "None", "num_layers": 0}}},
        {"quantization_config": {"group_size": -1, "bits": 4, "weight_block_size": [128, 128]}},
        {"task_specific_params": {"summarization": {"hidden_size": "large"}}},
        {"num_hidden_layers": 61, "n_routed_experts": 384, "num_experts_per_tok": 8},
        {"num_hidden_layers": 2_000, "num_experts": 500, "hidden_size": 10**8},
        {"num_experts": 100_000, "num_hidden_layers": 10},
        {"layer_types": ["full_attention"] * 2_000},
        {"num_labels": 1_000_000, "num_codebooks": 2_000, "inner_group_num": 2_000},
        {"id2label": {str(index): f"LABEL_{index}" for index in range(10_000)}, "label2id": {"a": 0}},
        {"attention_types": [[["global", "local"], 2_000]]},
        {"vocab_size_per_layer_input": 262_144, "num_embeddings": 10**6, "num_query_tokens": 10**9},
        {"num_parameters": 671 * 10**9, "num_train_tokens": 10**13, "n_params": 10**12, "num_training_steps": 10**9},
        {"bos_token_id": 10**9, "seed": 2**63, "pad_val": 1123581321.0, "sliding_window": 10**9},
        {"quantization_config": {"ignored_layers": ["a.weight"] * 50_000, "quantized_layers": {}}},
    ],
)
def test_odd_but_published_or_just_within(config: dict[str, Any]) -> None:
    check_sizes(config)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"num_hidden_layers": 10**12}, "num_hidden_layers is 1000000000000, and 2000 is the most"),
        ({"num_hidden_layers": 2_001}, "2000 is the most"),
        ({"mtp_num_layers": 2_001}, "2000 is the most"),
        ({"depths": [2, 2_001]}, "depths is 2001"),
        ({"depths": [1] * 2_001}, "depths has 2001 entries, and 2000 is the most"),
        ({"hidden_sizes": [[1] * 2_001]}, "hidden_sizes[0] has 2001 entries"),
        ({"num_labels": 10**9}, "num_labels is 1000000000, and 1000000 is the most"),
        ({"num_labels": -1}, "num_labels is -1: a size cannot be negative"),
        ({"num_ctc_classes": 1e12}, "num_ctc_classes is 1000000000000.0"),
        ({"id2label": dict.fromkeys(map(str, range(10**6 + 1)))}, "id2label has 1000001 entries"),
        ({"decoder": {"num_codebooks": 10**12}}, "decoder.num_codebooks is 1000000000000, and 2000 is the most"),
        ({"inner_group_num": 10**9}, "inner_group_num is 1000000000"),
        ({"n_unheard_of": 10**9}, "n_unheard_of is 1000000000, and 1000000 is the most"),
        ({"unheard_of_num": 10**9}, "unheard_of_num is 1000000000"),
        ({"num_layers_per_stack": 10**9}, "num_layers_per_stack is 1000000000, and 2000 is the most"),
        ({"attention_types": [[["global"], 10**9]]}, "attention_types is 1000000000, and 2000 is the most"),
        ({"block_sizes": [4, 4, 10**8]}, "block_sizes is 100000000"),
        ({"hidden_size": 10**9}, "hidden_size is 1000000000, and 100000000 is the most"),
        ({"head_dim": 10**8 + 1}, "head_dim is 100000001"),
        ({"kv_lora_rank": -5}, "kv_lora_rank is -5: a size cannot be negative"),
        ({"mlp_hidden_size": math.nan}, "mlp_hidden_size is nan"),
        ({"head_dim": math.inf}, "head_dim is inf"),
        ({"n_routed_experts": 100_001}, "100000 is the most"),
        ({"num_hidden_layers": 2_000, "num_experts": 501}, "it asks for 2000 layers of 501 experts"),
        ({"text_config": {"n_layer": 1500, "num_experts": 5000}}, "text_config asks for 1500 layers of 5000 experts"),
        ({"hidden_size": "4096"}, "hidden_size is '4096', not an integer"),
        ({"hidden_size": 4096.0}, "hidden_size is 4096.0, not an integer"),
        ({"hidden_size": True}, "hidden_size is True, not an integer"),
        ({"vocab_size": 0}, "vocab_size is 0, not a positive number"),
        ({"encoder_layers": 0}, "encoder_layers is 0, not a positive number"),
        ({"anything": {"model_type": "x", "n_head": 0}}, "anything.n_head is 0"),
        ({"anything": {"layers": 10**9}}, "anything.layers is 1000000000"),
        ({"parts": [{"model_type": "x"}, {"model_type": "x", "d_model": -1}]}, "parts[1].d_model is -1"),
        ({"layer_types": ["full_attention"] * 2_001}, "layer_types has 2001 entries"),
        ({"num_hidden_layers": [2, -5]}, "num_hidden_layers is -5: a size cannot be negative"),
        ({"decoder_layers": -2}, "decoder_layers is -2: a size cannot be negative"),
        ({"hidden_size": [[1, 2], [3, 10**9]]}, "hidden_size is 1000000000"),
        ({"\x1b[31m\n_size": 10**9}, r"\x1b[31m\n_size is 1000000000"),
    ],
)
def test_absurd(config: dict[str, Any], message: str) -> None:
    assert message in refusal(config)


def test_huge_numbers_are_shown_in_short() -> None:
    refusal({"hidden_size": 10**4000})
    refusal({"hidden_size": "x" * 10**6})


def test_nesting_has_an_end() -> None:
    config: dict[str, Any] = {}
    for _ in range(100_000):
        config = {"text_config": config}
    assert "is nested more than 32 levels deep" in refusal(config)
    listed: Any = []
    for _ in range(100_000):
        listed = [listed]
    assert "is nested more than 32 levels deep" in refusal({"hidden_size": listed})
