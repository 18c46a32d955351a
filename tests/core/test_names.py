"""Which names are taken for one another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archlint.core.names import near, respelled

USUAL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
LATENT = ["q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj", "o_proj"]
words = st.text("abcdqkv_", min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("Q_proj", USUAL, ["q_proj"]),
        ("query", USUAL, ["q_proj"]),
        ("gate_up_proj", USUAL, ["gate_proj", "up_proj"]),
        ("o_proj", ["q_proj", "out_proj", "up_proj"], ["out_proj"]),
        ("wi", ["wi_0", "wi_1", "wo"], ["wi_0", "wi_1"]),
        ("v_proj", LATENT, ["kv_a_proj_with_mqa", "kv_b_proj"]),
        ("k_proj", ["qkv_proj", "o_proj"], ["qkv_proj"]),
        ("v_proj", ["query_key_value", "dense"], ["query_key_value"]),
        ("embed_token", ["embed_tokens", "norm"], ["embed_tokens"]),
        ("w1", USUAL, []),
        ("foobar_proj", USUAL, []),
        ("q_proj", ["c_attn", "c_proj", "c_fc"], []),
    ],
)
def test_what_was_meant(name: str, known: list[str], meant: list[str]) -> None:
    assert near(name, known) == meant


@given(words, st.lists(words, unique=True))
def test_only_known_names_are_proposed_and_a_known_one_means_itself(name: str, known: list[str]) -> None:
    assert set(near(name, known)) <= set(known)
    assert name in near(name, [*known, name])


@pytest.mark.parametrize(
    ("name", "spelled"),
    [
        ("['q_proj']", "q_proj"),
        ("base_model.model.model.layers.0.q_proj", "model.layers.0.q_proj"),
        ("model.layers.0.q_proj.weight", "model.layers.0.q_proj"),
        (r"language_model\.model\.layers\..*q_proj", r"model\.language_model\.layers\..*q_proj"),
        ("layers.0.q_proj", "model.layers.0.q_proj"),
        ("transformer.h.0.attn", "h.0.attn"),
    ],
)
def test_another_spelling(name: str, spelled: str) -> None:
    assert spelled in list(respelled(name))
