"""A message is the same in every process, whatever order its sets came in."""

from __future__ import annotations

import pytest

from archlint.core.messages import settled


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("{'q_proj', 'k_proj'} not found", "{'k_proj', 'q_proj'} not found"),
        ("one of {'b', 'a'} and of {'d', 'c'}", "one of {'a', 'b'} and of {'c', 'd'}"),
        ("<function f at 0x7f4945a145e0> is none", "<function f> is none"),
        ("['q_proj', 'k_proj'] is a list", "['q_proj', 'k_proj'] is a list"),
        ("{'b': 1, 'a': 2} is no set", "{'b': 1, 'a': 2} is no set"),
        (r"layers\.{1,2} is a pattern", r"layers\.{1,2} is a pattern"),
    ],
)
def test_what_differs_from_process_to_process_is_settled(message: str, expected: str) -> None:
    assert settled(message) == expected
