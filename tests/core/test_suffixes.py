"""Names match paths as PEFT's own lists do, and the shortest that do are found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peft import LoraConfig
from peft.tuners.tuners_utils import check_target_module_exists

from archlint.core.suffixes import reached_by, suffixes

paths = st.lists(st.sampled_from(["a", "b", "ab", "0", "1", "q_proj"]), min_size=1, max_size=4).map(".".join)


@given(paths, st.lists(paths, unique=True))
def test_a_name_reaches_what_peft_says_it_does(name: str, given_paths: list[str]) -> None:
    config = LoraConfig(target_modules=[name])
    expected = [path for path in given_paths if check_target_module_exists(config, path)]
    assert list(reached_by(name, given_paths)) == expected


@given(st.sets(paths, min_size=1), st.sets(paths))
def test_suffixes_reach_all_that_is_wanted_and_nothing_else(wanted: set[str], others: set[str]) -> None:
    others -= wanted
    names = suffixes(sorted(wanted), others)
    if names is not None:
        reached = {path for name in names for path in reached_by(name, wanted | others)}
        assert reached == wanted
        assert not any(part.isdigit() for name in names for part in name.split("."))


@pytest.mark.parametrize(
    ("wanted", "others", "names"),
    [
        ([], ["a.b"], []),
        (["layers.0.q", "layers.1.q", "layers.0.k"], ["layers.0.norm"], ["q", "k"]),
        (["text.0.attn.q", "text.1.attn.q"], ["tower.0.self.q"], ["attn.q"]),
        (["layers.0.q"], ["layers.1.q"], None),
        (["text.q"], ["tower.text.q"], None),
        (["lm_head"], ["head"], ["lm_head"]),
        (["layers.0"], [], None),
    ],
)
def test_the_shortest_names_are_taken(wanted: list[str], others: list[str], names: list[str] | None) -> None:
    assert suffixes(wanted, others) == names


def test_a_linear_of_a_sequence_is_named_with_it() -> None:
    assert suffixes(["layers.0.mlp.0", "layers.1.mlp.0"], ["layers.0", "layers.1"], numbered=True) == ["mlp.0"]
    assert suffixes(["layers.0.q"], ["layers.1.q"], numbered=True) is None
