"""ARC202: the optimizer that the Trainer makes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archlint import Example
from archlint.rules.norms.norm_weight_decay import NormWeightDecay
from archlint.testing import findings


@pytest.mark.parametrize(
    ("name", "decayed"),
    [("DecayedNorm", {"norm_f.weight", "gain"}), ("DecayedVector", {"gain"}), ("CustomNorms", set())],
)
def test_the_trainer_puts_them_with_the_decayed(
    name: str, decayed: set[str], toy: Callable[[str], Any], tmp_path: Path
) -> None:
    from transformers import Trainer, TrainingArguments

    model = toy(f"norms.{name}")
    arguments = TrainingArguments(str(tmp_path), weight_decay=0.1, use_cpu=True, report_to="none")
    groups = Trainer(model, arguments).create_optimizer().param_groups
    names = {id(parameter): found for found, parameter in model.named_parameters()}
    vectors = {
        names[id(parameter)]
        for group in groups
        if group["weight_decay"] > 0
        for parameter in group["params"]
        if parameter.ndim == 1
    }
    assert vectors == decayed
    told = " ".join(finding.message for finding in findings(NormWeightDecay, Example(f"toy:norms.{name}")))
    assert {found for found in vectors if found.partition(".")[0] in told} == decayed
    assert bool(told) == bool(decayed)


def test_a_published_model(shallow: Callable[[str], str]) -> None:
    norms, vectors = findings(NormWeightDecay, Example(shallow("type:mamba2"), plan={"target_modules": ["in_proj"]}))
    assert [fold.pattern for fold in norms.sites] == ["backbone.norm_f"]
    assert "A_log" in vectors.message
    assert [fold.count for fold in vectors.sites] == [2]
