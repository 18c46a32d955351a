"""What an entry reaches is what PEFT does with it."""

from __future__ import annotations

import pytest
from peft import LoraConfig, get_peft_model

from archlint.fixtures.toys.norms import DecayedNorm
from archlint.proving.matching import entries


@pytest.mark.parametrize("name", ["norm", "layernorm", "norm_f", "input_layernorm", "layers.0.input_layernorm", "none"])
def test_modules_to_save(name: str) -> None:
    model = DecayedNorm()
    names = [path for path, _ in model.named_modules()]
    lora = {"target_modules": ["q_proj"], "modules_to_save": [name]}
    (entry,) = (entry for entry in entries(lora, names, []) if entry.setting == "modules_to_save")
    adapted = get_peft_model(model, LoraConfig(**lora)).base_model.model
    saved = {path for path, module in adapted.named_modules() if type(module).__name__ == "ModulesToSaveWrapper"}
    assert set(entry.reaches) == saved
