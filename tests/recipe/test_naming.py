"""Names mean the wanted sites and nothing else, by PEFT's own matching."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from peft import LoraConfig
from peft.tuners.tuners_utils import check_target_module_exists

from archlint.recipe.naming import exclusion, pattern, suffixes

segment = st.sampled_from(["layers", "0", "1", "q", "k", "mlp", "proj", "attn"])
paths = st.lists(segment, min_size=1, max_size=4).map(".".join)


def matched(config: LoraConfig, names: set[str]) -> set[str]:
    return {name for name in names if check_target_module_exists(config, name) is True}


@given(st.sets(paths, min_size=1), st.sets(paths))
def test_suffixes_reach_the_wanted_and_no_other(wanted: set[str], others: set[str]) -> None:
    others -= wanted
    names = suffixes(wanted, others)
    if names is not None:
        assert matched(LoraConfig(target_modules=list(names.targets)), wanted | others) == wanted


@given(st.sets(paths, min_size=1), st.sets(paths))
def test_a_pattern_matches_the_wanted_and_no_other(wanted: set[str], others: set[str]) -> None:
    others -= wanted
    expression = pattern(wanted, others)
    assert expression is not None
    assert {path for path in wanted | others if re.fullmatch(expression, path)} == wanted


@given(st.sets(paths, min_size=1), st.sets(paths, min_size=1))
def test_an_exclusion_takes_out_its_roots_and_keeps_the_wanted(wanted: set[str], roots: set[str]) -> None:
    below = {f"{root}.child" for root in roots} | roots
    wanted = {path for path in wanted if not any(path == root or path.startswith(f"{root}.") for root in roots)}
    expression = exclusion(sorted(roots), wanted)
    assert all(re.fullmatch(expression, path) for path in below)
    assert not any(re.fullmatch(expression, path) for path in wanted)


def test_the_shortest_suffix_wins() -> None:
    wanted = [f"layers.{index}.attn.{name}_proj" for index in range(3) for name in "qk"]
    assert suffixes(wanted, ["layers", "layers.0", "lm_head"]).targets == ("q_proj", "k_proj")  # type: ignore[union-attr]


def test_a_suffix_grows_where_a_name_means_more() -> None:
    wanted = ["layers.0.ff.dense.dense", "layers.1.ff.dense.dense"]
    others = ["layers.0.ff.dense", "layers.1.ff.dense", "pooler.dense"]
    assert suffixes(wanted, others).targets == ("dense.dense",)  # type: ignore[union-attr]


def test_a_suffix_never_names_a_layer() -> None:
    assert suffixes(["text.layers.0.q"], ["vision.layers.0.q"]) is None


def test_a_pattern_leaves_indices_open_where_it_may() -> None:
    wanted = [f"text.layers.{index}.q" for index in range(12)]
    assert pattern(wanted, ["vision.layers.0.q"]) == r"text\.layers\.\d+\.q"
    assert pattern(wanted, ["text.layers.12.q"]) == rf"text\.layers\.({'|'.join(map(str, range(12)))})\.q"


def test_an_exclusion_names_whole_paths_where_a_part_would_take_too_much() -> None:
    assert exclusion(["model.encoder"], ["model.decoder.layers.0.encoder_attn.q"]) == r"(model\.encoder)(\..*)?"
    assert exclusion(["a.vision", "a.audio"], ["a.text.q"]) == r".*(vision|audio).*"
