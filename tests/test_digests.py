"""Digests of plain values: different values have different ones, and the same value has the same one everywhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archlint.digests import digest, key_of

ROOT = Path(__file__).parent.parent

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


def told_apart(value: Any) -> Any:
    """``value`` so that what differs in type or order differs: to Python ``True == 1 == 1.0``."""
    if isinstance(value, dict):
        return "mapping", [(key, told_apart(content)) for key, content in value.items()]
    if isinstance(value, (list, tuple)):
        return "sequence", [told_apart(content) for content in value]
    return type(value).__name__, repr(value)


@given(st.lists(plain, max_size=3), st.lists(plain, max_size=3))
def test_a_key_is_that_of_its_parts_alone(one: list[Any], other: list[Any]) -> None:
    assert (key_of(*one) == key_of(*other)) == (told_apart(one) == told_apart(other))
    assert key_of(*one) == key_of(*one)


@given(st.lists(plain, max_size=3))
def test_a_key_may_name_a_file(parts: list[Any]) -> None:
    key = key_of(*parts)
    assert len(key) == 40
    assert set(key) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("ab",), ("a", "b")),
        ((["a"], "b"), (["a", "b"],)),
        (("1",), (1,)),
        ((None,), ("null",)),
        ((True,), (1,)),
        ((1,), (1.0,)),
        (('a","b',), ("a", "b")),
        (({"q_proj": 8, ".*": 4},), ({".*": 4, "q_proj": 8},)),  # PEFT takes the first that matches
    ],
)
def test_what_looks_alike_is_told_apart(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    assert key_of(*one) != key_of(*other)


def test_a_tuple_is_what_json_makes_of_it() -> None:
    assert key_of(("a", ("b",))) == key_of(["a", ["b"]])


@pytest.mark.parametrize("value", [{"a"}, b"a", object(), Path("a"), {1: "a"}, {None: 1}, [{"a": {"b": {2}}}], 1j])
def test_what_is_not_plain_has_none(value: Any) -> None:
    with pytest.raises(TypeError):
        key_of("fine", value)


def test_another_process_has_the_same() -> None:
    code = "from archlint.digests import key_of; print(key_of({'b': [1, None, 'ü'], 'a': 0.1}, '\\ud800'))"
    made = {
        subprocess.check_output(
            [sys.executable, "-S", "-c", code], env={"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed}, text=True
        ).strip()
        for seed in ("0", "1", "2")
    }
    assert made == {"be96e7b6116ae6dd964fd24e99638907b023d2ef"}


def test_content() -> None:
    assert digest(b"") != digest(b"\0") != digest(b"\0\0")
    assert digest(b"model") == digest(b"model")
