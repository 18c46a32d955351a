"""A pattern means the wanted paths and nothing else."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from archlint.core.pattern import pattern

segment = st.sampled_from(["layers", "0", "1", "q", "k", "mlp", "proj", "attn", "a.b{c}".replace(".", "_")])
paths = st.lists(segment, min_size=1, max_size=4).map(".".join)


@given(st.sets(paths, min_size=1), st.sets(paths))
def test_a_pattern_matches_the_wanted_and_no_other(wanted: set[str], others: set[str]) -> None:
    others -= wanted
    expression = pattern(wanted, others)
    assert expression is not None
    assert {path for path in wanted | others if re.fullmatch(expression, path)} == wanted


def test_a_pattern_leaves_indices_open_where_it_may() -> None:
    wanted = [f"text.layers.{index}.q" for index in range(12)]
    assert pattern(wanted, ["vision.layers.0.q"]) == r"text\.layers\.\d+\.q"
    assert pattern(wanted, ["text.layers.12.q"]) == rf"text\.layers\.({'|'.join(map(str, range(12)))})\.q"
