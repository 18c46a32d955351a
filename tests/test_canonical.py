"""A configuration without names: what is left of it, and that it builds the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archlint.canonical import canonical

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
KEYS = st.sampled_from(["_name_or_path", "transformers_version", "_commit_hash", "id2label", "label2id", "text_config"])
CONFIGS = st.dictionaries(KEYS | st.text(max_size=8), VALUES, max_size=6)


@given(CONFIGS)
def test_the_order_of_keys_stays(config: dict[str, Any]) -> None:
    left = canonical(config)
    assert list(left) == [key for key in config if key in left]
    assert {key for key in config if key not in left} <= {"_name_or_path", "_commit_hash"}


@given(CONFIGS)
def test_what_is_canonical_stays_as_it_is(config: dict[str, Any]) -> None:
    assert canonical(canonical(config)) == canonical(config)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"_name_or_path": "/home/a/llama"}, {"_name_or_path": "me/llama-chat"}),
        ({"_name_or_path": "a", "_commit_hash": "b"}, {}),
        ({"transformers_version": "4.31.0"}, {"transformers_version": "4.46.0.dev0"}),
        ({"text_config": {"_name_or_path": "a"}}, {"text_config": {"_name_or_path": "b"}}),
        (
            {"id2label": {"0": "no", "1": "yes"}, "label2id": {"no": 0, "yes": 1}},
            {"id2label": {"0": "ham", "1": "spam"}, "label2id": {"ham": 0, "spam": 1}},
        ),
    ],
)
def test_names_make_no_other_architecture(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"hidden_size": 64}, {"hidden_size": 32}),
        ({"transformers_version": "4.31.0"}, {"transformers_version": "5.1.0"}),
        ({"transformers_version": "4.31.0"}, {}),
        ({"id2label": {"0": "no"}}, {"id2label": {"0": "no", "1": "yes"}}),
        ({"vision_config": {"_name_or_path": 1}}, {"vision_config": {"_name_or_path": "1"}}),
    ],
)
def test_what_may_be_built_otherwise_is_another(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert canonical(one) != canonical(other)
