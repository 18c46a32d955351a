"""Whatever equation holds among the numbers of a config holds among those of its small copy."""

from __future__ import annotations

from typing import Any

import pytest
from transformers import AutoConfig, PretrainedConfig

from archlint.quiet import quiet
from archlint.running.shrinking import Scheme, depths, shrunk


def config_of(model_type: str, **values: Any) -> Any:
    with quiet():
        return AutoConfig.for_model(model_type, **values)


def small(model_type: str, layers: int = 2, scheme: Scheme = Scheme.BOTH, **values: Any) -> Any:
    with quiet():
        return shrunk(config_of(model_type, **values), layers, scheme)


@pytest.mark.parametrize("scheme", Scheme)
@pytest.mark.parametrize("model_type", ["llama", "mistral", "gpt_neox", "bert", "phi", "qwen2", "starcoder2"])
def test_the_stream_is_as_wide_as_all_heads(model_type: str, scheme: Scheme) -> None:
    large, config = config_of(model_type), small(model_type, scheme=scheme)
    assert config.hidden_size < large.hidden_size
    assert config.hidden_size % config.num_attention_heads == 0
    if (width := getattr(large, "head_dim", None)) and width * large.num_attention_heads == large.hidden_size:
        assert config.head_dim * config.num_attention_heads == config.hidden_size


def test_heads_are_divided_in_proportion_or_not_at_all_or_are_few() -> None:
    def heads(scheme: Scheme) -> tuple[int, int, int]:
        config = small("qwen3", scheme=scheme, num_attention_heads=24, num_key_value_heads=8, head_dim=128)
        return config.num_attention_heads, config.num_key_value_heads, config.head_dim

    assert heads(Scheme.BOTH) == (3, 1, 8)
    assert heads(Scheme.NARROW) == (24, 8, 8)
    assert heads(Scheme.FEW) == (2, 1, 128)


def test_inner_widths_of_mamba_follow() -> None:
    config = small("bamba")
    assert config.mamba_n_heads * config.mamba_d_head == config.mamba_expand * config.hidden_size
    assert config.mamba_n_heads % config.mamba_n_groups == 0


def test_sections_of_a_rotation_sum_to_half_a_head() -> None:
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [24, 20, 20]}
    config = small("qwen3_vl_text", head_dim=128, rope_parameters=rope)
    assert config.head_dim < 128
    assert 2 * sum(config.rope_parameters["mrope_section"]) == config.head_dim


def test_factors_of_a_rotation_are_one_for_each_pair() -> None:
    factors = [1.0 + n for n in range(48)]
    rope = {
        "rope_type": "longrope",
        "rope_theta": 1e4,
        "short_factor": factors,
        "long_factor": factors,
        "original_max_position_embeddings": 4096,
    }
    config = small("phi3", hidden_size=3072, num_attention_heads=32, rope_parameters=rope)
    width = config.hidden_size // config.num_attention_heads
    assert width < 96
    assert config.rope_parameters["long_factor"] == factors[: width // 2]


def test_what_a_tower_gives_fits_the_stream_that_takes_it() -> None:
    config = small("qwen3_vl", vision_config={"out_hidden_size": 4096})
    assert config.vision_config.out_hidden_size == config.text_config.hidden_size
    assert config.vision_config.hidden_size % config.vision_config.num_heads == 0


def test_no_more_experts_are_chosen_than_there_are() -> None:
    config = small("deepseek_v3")
    assert config.num_experts_per_tok <= config.n_routed_experts <= 4
    assert config.topk_group <= config.n_group
    assert config.n_routed_experts % config.n_group == 0
    assert config.n_shared_experts == config_of("deepseek_v3").n_shared_experts


def test_what_is_said_of_each_layer_goes_along() -> None:
    large, config = config_of("gemma3n_text"), small("gemma3n_text", layers=25)
    assert config.num_hidden_layers == 25
    assert config.layer_types == large.layer_types[:25]
    assert len(config.intermediate_size) == len(config.activation_sparsity_pattern) == 25
    assert config.num_kv_shared_layers == large.num_kv_shared_layers


def test_layers_named_by_index_are_those_that_stay() -> None:
    assert small("qwen3_vl", layers=16).vision_config.deepstack_visual_indexes == (8,)
    assert small("mllama", layers=9).text_config.cross_attention_layers == [3, 8]


@pytest.mark.skipif(not hasattr(PretrainedConfig, "per_layer_config"), reason="this transformers has no such overrides")
def test_what_one_layer_overrides_is_divided_too() -> None:
    config = small("llama", layers=4, per_layer_config={1: {"intermediate_size": 5504, "num_key_value_heads": 8}})
    assert config.per_layer_config[0].intermediate_size == 2 * config.per_layer_config[1].intermediate_size
    assert config.per_layer_config[0].num_key_value_heads == 4 * config.per_layer_config[1].num_key_value_heads


def test_tokens_are_in_the_vocabulary_and_stay_apart() -> None:
    large, config = config_of("qwen2_vl"), small("qwen2_vl")
    names = [name for name in vars(large) if name.endswith("_token_id") and isinstance(getattr(large, name), int)]
    assert len(names) > 2
    assert all(getattr(config, name) < config.text_config.vocab_size for name in names)
    assert len({getattr(config, name) for name in names}) == len({getattr(large, name) for name in names})


def test_no_layer_is_dropped_by_chance() -> None:
    assert small("bart", encoder_layerdrop=0.5).encoder_layerdrop == 0.0


def test_the_config_itself_stays() -> None:
    config = config_of("llava")
    before = config.to_dict()
    shrunk(config, 2, Scheme.BOTH)
    assert config.to_dict() == before


def test_depths_end_with_the_longest_stack() -> None:
    assert depths(config_of("llama", num_hidden_layers=80)) == [2, 4, 8, 16, 32, 64, 80]
    assert depths(config_of("llama", num_hidden_layers=1)) == [1]
    assert depths(PretrainedConfig()) == [0]


def test_stages_are_stacks_too() -> None:
    assert depths(config_of("maskformer-swin")) == [2, 4, 6]
    assert list(small("maskformer-swin", layers=2).depths) == [2, 2, 2, 2]


def test_blocks_within_a_block_and_their_width_become_small() -> None:
    config = small("perceiver", layers=2)
    assert config.num_self_attends_per_block == 2
    assert config.d_latents < 1280


def test_the_size_of_a_spectrum_stays() -> None:
    assert small("clap").audio_config.spec_size == 256
