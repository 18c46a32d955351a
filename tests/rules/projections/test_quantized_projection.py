"""ARC108: what is said of a quantization."""

from __future__ import annotations

import pytest

from archlint import Example
from archlint.core.blueprint import Blueprint, Facts, ModelInfo
from archlint.core.finding import Severity
from archlint.rules.projections.quantized_projection import QuantizedProjection
from archlint.testing import findings

FACTS = {"method": "m", "details": "", "spared": "", "known": "yes", "layer": "L", "peft": "own", "trainable": "yes"}


def said(**facts: str) -> str:
    model = ModelInfo("m", "type", "M", "m", parameters=0, modules=0)
    (finding,) = QuantizedProjection().check(Blueprint(model, (), facts=Facts(quantization={**FACTS, **facts})))
    assert finding.severity is Severity.INFO
    return finding.message


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({}, "quantized with m; PEFT has LoRA layers for it"),
        ({"details": "4 bits"}, "quantized with m (4 bits);"),
        ({"spared": "lm_head"}, "m, but not lm_head;"),
        ({"spared": "lm_head, a, b"}, "m, but not lm_head and 2 more;"),
        ({"known": "no"}, "does not know this method"),
        ({"peft": "linear"}, "PEFT adapts its L, an nn.Linear by type"),
        ({"peft": "refused"}, "PEFT has no adapter for its L"),
        ({"peft": "unknown"}, "PEFT has no LoRA layer of its own for it"),
        ({"trainable": "no"}, "trains no adapters on it"),
    ],
)
def test_each_answer_of_the_libraries_has_its_words(facts: dict[str, str], words: str) -> None:
    assert words in said(**facts)
    assert said(**facts) == said() or words not in said()


def test_the_installed_libraries_are_asked() -> None:
    (finding,) = findings(QuantizedProjection, Example("toy:projections.QuantizedInBlocks"))
    assert "fp8 (e4m3, blocks of 128 × 128), but not lm_head; PEFT adapts its FP8Linear" in finding.message
