"""Text that says it is Python is parsed, whatever it is."""

from __future__ import annotations

import ast
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archlint.syntax import parsed

MANY = 20_000


def test_python_is_parsed() -> None:
    found = parsed("class Net: ...\n")
    assert found is not None
    assert isinstance(found.body[0], ast.ClassDef)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("class", id="no Python"),
        pytest.param("x = 1\0", id="a null byte"),
        pytest.param("\ud800", id="half a letter"),
        pytest.param("-" * MANY + "1", id="signs"),
        pytest.param("(" * MANY, id="brackets"),
        pytest.param("a" + ".b" * MANY, id="attributes"),
        pytest.param("x+" * MANY + "x", id="sums"),
        pytest.param("if x:\n pass\n" + "elif x:\n pass\n" * MANY, id="branches"),
        pytest.param(f"x = {'9' * 5000}", id="digits"),
    ],
)
def test_what_cannot_be_parsed_is_nothing(text: str) -> None:
    assert parsed(text) is None


def test_what_is_not_nice_says_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert parsed("x = '\\d'") is not None


@given(st.text())
def test_any_text_is_parsed_or_is_nothing(text: str) -> None:
    found = parsed(text)
    assert found is None or isinstance(found, ast.Module)
