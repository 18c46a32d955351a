"""Folding loses nothing, invents nothing, and is what a person would write."""

from __future__ import annotations

import time
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from archlint.core.folding import fold, size, unfold, without_indices

# Few letters, so that names collide, and every character that the notation gives a meaning to.
names = st.one_of(
    st.text("aq01_{},\\*", max_size=5),
    st.sampled_from(["0", "1", "2", "10", "00", "q_proj", "k_proj", "layers", "self_attn"]),
    st.text(max_size=3).map(lambda text: text.replace(".", "")),
)
paths = st.lists(names, min_size=1, max_size=4).map(".".join)


@given(st.lists(paths))
@example(["", "a", "a."])
@example(["a.{", "a.}", "a.,", "a.\\", "a.{}", "a.{0,1}"])
@example(["layers.0.x", "layers.00.x", "layers.01.x", "layers.1.x"])
@example(["w.a,b", "w.a", "w.b"])
@example(["w._", "w.__", "w."])
def test_unfolding_gives_back_exactly_what_was_folded(given_paths: list[str]) -> None:
    unfolded = [path for pattern in fold(given_paths) for path in unfold(pattern)]
    assert sorted(unfolded) == sorted(set(given_paths))


@given(st.lists(paths))
@example(["a.{0..3}"])
def test_the_size_of_a_pattern_is_known_before_it_is_unfolded(given_paths: list[str]) -> None:
    for pattern in fold(given_paths):
        assert size(pattern) == len(unfold(pattern))
    assert size("layers.{0..999999999}.{q,k}") == 2 * 10**9


@given(st.lists(paths, unique=True))
def test_patterns_stand_in_the_order_of_their_first_path(given_paths: list[str]) -> None:
    first = [min(map(given_paths.index, unfold(pattern))) for pattern in fold(given_paths)]
    assert first == sorted(first)


@given(paths)
def test_one_path_stands_for_itself(path: str) -> None:
    [pattern] = fold([path, path])
    assert unfold(pattern) == [path]
    if not set(path) & set("{},\\"):
        assert pattern == path


@given(st.sets(st.integers(0, 60), min_size=1), st.sets(st.sampled_from("qkvo"), min_size=1))
def test_a_full_grid_is_one_pattern(layers: set[int], projections: set[str]) -> None:
    grid = [f"model.layers.{layer}.attn.{name}_proj" for layer, name in product(layers, projections)]
    assert len(fold(grid)) == 1


@pytest.mark.parametrize(
    ("given_paths", "patterns"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param(
            [f"model.layers.{i}.self_attn.{n}_proj" for i in range(42) for n in "qkvo"],
            ["model.layers.{0..41}.self_attn.{q,k,v,o}_proj"],
            id="layers and siblings",
        ),
        pytest.param(
            [f"layers.{i}.experts.{j}.{n}_proj" for i in range(3) for j in range(8) for n in ("gate", "up", "down")],
            ["layers.{0..2}.experts.{0..7}.{gate,up,down}_proj"],
            id="experts in layers",
        ),
        pytest.param(["layers.0.x", "layers.1.x"], ["layers.{0,1}.x"], id="two are no range"),
        pytest.param([f"layers.{i}.x" for i in (0, 1, 2, 5, 7, 8, 9)], ["layers.{0..2,5,7..9}.x"], id="gaps"),
        pytest.param(["layers.10.x", "layers.9.x", "layers.8.x"], ["layers.{8..10}.x"], id="numbers, not digits"),
        pytest.param(
            ["layers.0.attn.q", "layers.0.mlp.up", "layers.1.attn.q", "layers.1.mlp.up"],
            ["layers.{0,1}.attn.q", "layers.{0,1}.mlp.up"],
            id="parents of different children",
        ),
        pytest.param(
            ["layers.0.q", "layers.1.q", "layers.2.q", "layers.0.k", "layers.2.k"],
            ["layers.{0..2}.q", "layers.{0,2}.k"],
            id="what only some layers have",
        ),
        pytest.param(["head", "body.head"], ["head", "body.head"], id="depths do not mix"),
        pytest.param(["x.input_norm", "x.output_norm"], ["x.{input,output}_norm"], id="whole words"),
        pytest.param(["x.linear", "x.linear_fc2"], ["x.{linear,linear_fc2}"], id="a name that begins another"),
        pytest.param(["x.a,b", "x.c"], [r"x.{a\,b,c}"], id="a comma in a name"),
    ],
)
def test_a_pattern_is_what_a_person_would_write(given_paths: list[str], patterns: list[str]) -> None:
    assert fold(given_paths) == patterns


def test_every_expert_of_a_huge_model_folds_at_once() -> None:
    experts = [f"layers.{i}.experts.{j}.{n}" for i in range(58) for j in range(256) for n in ("gate", "up", "down")]
    start = time.process_time()
    assert fold(experts) == ["layers.{0..57}.experts.{0..255}.{gate,up,down}"]
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    ("pattern", "paths"),
    [
        ("a{b", ["a{b"]),
        ("a}b", ["a}b"]),
        ("a{{b,c}", ["a{b", "ac"]),
        ("{" * 20_000, ["{" * 20_000]),
        ("{a,b}.{c", ["a.{c", "b.{c"]),
    ],
)
def test_braces_without_a_partner_stand_for_themselves(pattern: str, paths: list[str]) -> None:
    assert unfold(pattern) == paths
    assert size(pattern) == len(paths)


@pytest.mark.parametrize(
    ("pattern", "starred"),
    [
        ("layers.{0..41}.mlp.{gate,up}_proj", "layers.*.mlp.{gate,up}_proj"),
        ("layers.7.mlp", "layers.*.mlp"),
        ("layers.{0..2,5,7..9}.experts.{0,1}.up", "layers.*.experts.*.up"),
        ("h.0", "h.*"),
        ("conv1d.fc2", "conv1d.fc2"),
        (r"x.\{1\}", r"x.\{1\}"),
    ],
)
def test_without_indices(pattern: str, starred: str) -> None:
    assert without_indices(pattern) == starred


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 5), st.sets(st.sampled_from("qkvo"), min_size=1))
def test_without_indices_forgets_how_many_there_are_and_where_they_start(
    count: int, other_count: int, offset: int, projections: set[str]
) -> None:
    def starred(indices: range) -> set[str]:
        return {
            without_indices(p) for p in fold(f"layers.{i}.attn.{n}_proj" for i in indices for n in sorted(projections))
        }

    assert starred(range(count)) == starred(range(offset, offset + other_count))
