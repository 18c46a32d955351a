"""ARC803: what FSDP does with a class that is not there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from accelerate import FullyShardedDataParallelPlugin

from archlint import Example
from archlint.rules.saving.wrap_class import WrapClass
from archlint.testing import findings


def wrapped(model: Any, **settings: Any) -> FullyShardedDataParallelPlugin:
    plugin = FullyShardedDataParallelPlugin(auto_wrap_policy="transformer_based_wrap", **settings)
    plugin.set_auto_wrap_policy(model)
    return plugin


def test_fsdp_raises_at_a_class_that_is_not_there(toy: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FSDP_TRANSFORMER_CLS_TO_WRAP", raising=False)
    with pytest.raises(ValueError, match="DecoderLayer"):
        wrapped(toy("saving.Misnamed"))
    (finding,) = findings(WrapClass, Example("toy:saving.Misnamed"))
    assert "DecoderLayer" in finding.message
    wrapped(toy("saving.Misnamed"), transformer_cls_names_to_wrap=finding.remedies[0].value.split(","))


def test_fsdp_wraps_what_is_there(toy: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FSDP_TRANSFORMER_CLS_TO_WRAP", raising=False)
    wrapped(toy("saving.Named"))


def test_published_models() -> None:
    (finding,) = findings(WrapClass, Example("google/gemma-3-4b-it"))
    assert "SiglipTextEmbeddings" in finding.message
    assert findings(WrapClass, Example("meta-llama/Llama-3.2-1B")) == []


@pytest.mark.since("transformers", "5.15", "a text model does not name its siblings' towers")
def test_a_text_model_beside_a_composite() -> None:
    assert findings(WrapClass, Example("type:gemma3_text")) == []
