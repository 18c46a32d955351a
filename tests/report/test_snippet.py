"""LoraConfig as source: whatever goes in comes out again when Python reads it."""

from __future__ import annotations

import ast
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archlint.report.snippet import WIDTH, argument, literal, lora_config

TEXT = st.text(st.characters(codec=None), max_size=120) | st.text(r"abc_.\\|()[]d+*^$\"'", max_size=300)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=12) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


def read(source: str) -> dict[str, Any]:
    call = ast.parse(source, mode="eval").body
    assert isinstance(call, ast.Call)
    assert ast.unparse(call.func) == "LoraConfig"
    return {keyword.arg or "": ast.literal_eval(keyword.value) for keyword in call.keywords}


@given(st.dictionaries(st.sampled_from(["target_modules", "exclude_modules", "r", "rank_pattern"]), VALUES))
def test_python_reads_back_what_was_written(lora: dict[str, Any]) -> None:
    assert read(lora_config(lora)) == lora


def test_regular_expressions_are_raw() -> None:
    assert literal(r"model\.layers\.\d+") == r'r"model\.layers\.\d+"'
    assert literal("q_proj") == '"q_proj"'
    assert literal("ends in \\") == r"'ends in \\'"


def test_an_empty_plan() -> None:
    assert lora_config({}) == "LoraConfig()"


def test_short_lists_stay_on_one_line() -> None:
    assert lora_config({"target_modules": ["q_proj", "v_proj"]}) == (
        'LoraConfig(\n    target_modules=["q_proj", "v_proj"],\n)'
    )


def test_long_lists_and_expressions_are_broken() -> None:
    names = [f"layers.{n}.self_attn.q_proj" for n in range(9)]
    expression = r"model\.language_model\.layers\.\d+\.(self_attn\.(q|k|v|o)_proj|mlp\.(gate|up|down)_proj|router)" * 2
    source = lora_config({"target_modules": expression, "target_parameters": names})
    assert read(source) == {"target_modules": expression, "target_parameters": names}
    assert max(map(len, source.splitlines())) <= WIDTH
    assert len(source.splitlines()) > 6


@pytest.mark.parametrize("width", [40, 64, 80])
def test_lines_keep_to_a_narrower_page(width: int) -> None:
    names = [f"layers.{n}.self_attn.q_proj" for n in range(9)]
    expression = r".*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj|linear_start|linear_end)\.linear"
    lora = {"target_modules": expression, "target_parameters": names, "rank_pattern": {"q_proj": 4, "k_proj": 8}}
    source = lora_config(lora, width)
    assert read(source) == lora
    assert max(map(len, source.splitlines())) <= width


@given(VALUES, st.integers(20, 100))
def test_an_argument_alone_can_be_pasted_into_a_call(value: Any, width: int) -> None:
    assert read(f"LoraConfig({argument('target_modules', value, width)})") == {"target_modules": value}


def test_an_argument_that_fits_stays_on_its_line() -> None:
    assert argument("exclude_modules", ".*(a|b).*", 40) == 'exclude_modules=".*(a|b).*"'
    assert argument("exclude_modules", ".*(vision|audio).*", 24) == (
        'exclude_modules=(\n    ".*(vision|"\n    "audio).*"\n)'
    )


def test_sets_are_written_in_order() -> None:
    assert literal({"v_proj", "q_proj"}) == '["q_proj", "v_proj"]'


def test_what_is_no_name_of_an_argument_is_no_code() -> None:
    name = "r=1)\nimport os\nos.system('x')\n("
    (call,) = ast.parse(lora_config({name: 2, "r": 8})).body
    assert isinstance(call, ast.Expr)
    assert isinstance(call.value, ast.Call)
    assert [keyword.arg for keyword in call.value.keywords] == [None, "r"]
    assert ast.literal_eval(call.value.keywords[0].value) == {name: 2}
