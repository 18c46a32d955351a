from __future__ import annotations

import pytest

from archlint.matrix import INSTALLED, StackError, stack


@pytest.mark.parametrize(
    ("text", "requirements"),
    [
        ("peft==0.19.1", ["peft==0.19.1"]),
        ("transformers==5.3.0, PEFT == 0.18.1", ["transformers==5.3.0", "PEFT==0.18.1"]),
        ("peft>=0.18,<0.20,trl", ["peft<0.20,>=0.18", "trl"]),
        ("trl[peft,vllm]==1.7,torch", ["trl[peft,vllm]==1.7", "torch"]),
        ("peft @ git+https://example.org/peft", ["peft@ git+https://example.org/peft"]),
        (INSTALLED, []),
    ],
)
def test_commas_stand_between_requirements_and_within_them(text: str, requirements: list[str]) -> None:
    assert [str(one).replace(" @", "@") for one in stack(text).requirements] == requirements


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no requirement"),
        ("peft=0.18", "no requirement"),
        ("peft==0.18,0.19", "'0.19' is a version without a package"),
        ("peft==0.18,PEFT==0.19", "names peft twice"),
        ("archlint==0.0.1", "the one that runs here"),
        (f"{INSTALLED},peft==0.19", "stands alone"),
        ("peft==0.19; python_version < '3'", "behind the semicolon"),
        ("-r requirements.txt", "no requirement"),
    ],
)
def test_what_is_no_stack_is_told_on_one_line(text: str, why: str) -> None:
    with pytest.raises(StackError, match=why) as raised:
        stack(text)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "version"), [("peft==0.19.1", "0.19.1"), ("peft>=0.19", None), ("peft==0.19.*", None), ("trl==1", None)]
)
def test_a_version_is_pinned_by_two_equals_signs(text: str, version: str | None) -> None:
    assert stack(text).pinned("peft") == version
