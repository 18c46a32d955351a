"""ARC805: what is in the file that PEFT writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from archlint import Example
from archlint.core.finding import Severity
from archlint.rules.saving.base_matrix_saved import BaseMatrixSaved
from archlint.testing import examine, findings


@pytest.mark.parametrize("targets", [["q_proj", "lm_head"], ["embed_tokens"], ["q_proj", "k_proj"], r".*lm_head"])
@pytest.mark.parametrize("model", ["heads.Untied", "heads.Tied"])
def test_the_file_holds_what_the_finding_says(
    model: str, targets: Any, adapt: Callable[..., Any], tmp_path: Path
) -> None:
    adapt(model, target_modules=targets).save_pretrained(tmp_path)
    file = load_file(tmp_path / "adapter_model.safetensors")
    whole = {key.split(".")[-3] for key in file if ".base_layer." in key}
    example = Example(f"toy:{model}", plan={"target_modules": targets})
    found = findings(BaseMatrixSaved, example)
    assert {fold.pattern.rpartition(".")[2] for finding in found for fold in finding.sites} == whole
    assert all(finding.severity is Severity.INFO for finding in found)
    plan = examine(example).plan
    assert plan is not None
    assert plan.size == sum(weight.nbytes for weight in file.values())


def test_saving_without_embeddings_leaves_it_out(adapt: Callable[..., Any], tmp_path: Path) -> None:
    model = adapt("heads.Untied", target_modules=["q_proj", "lm_head"])
    model.save_pretrained(tmp_path, save_embedding_layers=False)
    assert not any(".base_layer." in key for key in load_file(tmp_path / "adapter_model.safetensors"))
