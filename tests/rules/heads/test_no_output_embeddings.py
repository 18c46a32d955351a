"""ARC402: models that PEFT asks for their embeddings in vain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from peft import LoraConfig, get_peft_model

from archlint import Example
from archlint.core.finding import Severity
from archlint.rules.heads.no_output_embeddings import NoOutputEmbeddings
from archlint.testing import findings


def test_peft_takes_no_adapter_until_the_class_has_the_method(toy: Callable[[str], Any]) -> None:
    model = toy("heads.Shy")
    config = LoraConfig(target_modules=["q_proj"])
    with pytest.raises(NotImplementedError, match="ask somebody else"):
        get_peft_model(model, config)
    (finding,) = findings(NoOutputEmbeddings, Example("toy:heads.Shy"))
    assert finding.severity is Severity.ERROR
    answer = type(model).get_input_embeddings
    try:
        exec(finding.remedies[0].value, {"model": model})  # the line that the finding gives to paste
        adapted = get_peft_model(model, config)
    finally:
        type(model).get_input_embeddings = answer
    assert sum("lora_A" in name for name, _ in adapted.named_parameters()) == 2


def test_all_linear_takes_a_head_that_is_not_named(adapt: Callable[..., Any]) -> None:
    model = adapt("heads.Headless", target_modules="all-linear")
    assert any(name.startswith("base_model.model.lm_head.lora_A") for name, _ in model.named_parameters())
    (finding,) = findings(NoOutputEmbeddings, Example("toy:heads.Headless"))
    assert finding.severity is Severity.INFO


@pytest.mark.parametrize("model", ["type:wav2vec2", "type:clip", "google-bert/bert-base-uncased", "type:vit"])
def test_what_generates_no_text_owes_no_output_embeddings(model: str) -> None:
    assert findings(NoOutputEmbeddings, Example(model)) == []
