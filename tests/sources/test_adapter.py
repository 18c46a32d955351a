"""An adapter on the hub: its settings and the header of its weights, and the model that it is for."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest

from archlint.core.report import Report
from archlint.engine import Options, check
from archlint.sources import SourceOptions

SETTINGS = {"peft_type": "LORA", "base_model_name_or_path": "org/base", "r": 8, "target_modules": ["q_proj"]}
BASE = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "vocab_size": 64,
}
KEY = "base_model.model.model.layers.0.self_attn.q_proj.lora_{}.weight"


def weights(**names: str) -> bytes:
    header = {
        name: {"dtype": "F32", "shape": shape, "data_offsets": [0, 4 * 8 * 32]}
        for name, shape in ((KEY.format(names.get("A", "A")), [8, 32]), (KEY.format("B"), [32, 8]))
    }
    content = json.dumps(header).encode()
    return struct.pack("<Q", len(content)) + content + bytes(2 * 4 * 8 * 32)


def reported(options: SourceOptions) -> Report:
    from archlint.core.catalog import Catalog

    return check("org/lora", Options(rules=Catalog.load().select(None, (), ()), source=options))


def publish(stub_hub: Any, content: bytes | None, settings: dict[str, Any] = SETTINGS) -> None:
    stub_hub.add("org/base", config__json=BASE)
    stub_hub.add("org/lora", adapter_config__json=settings)
    if content is not None:
        stub_hub.repositories["org/lora"]["adapter_model.safetensors"] = content


def test_an_adapter_is_checked_on_its_base(stub_hub: Any, options: SourceOptions) -> None:
    publish(stub_hub, weights())
    report = reported(options)
    assert report.ok, report
    assert report.plan is not None
    assert len(report.plan.adapted) == 1
    assert report.model is not None
    assert report.model.id == "org/base"


def test_keys_that_match_nothing(stub_hub: Any, options: SourceOptions) -> None:
    publish(stub_hub, weights(A="X"))
    (finding,) = [finding for finding in reported(options).findings if finding.code == "ARC802"]
    assert "1 of 2 keys match nothing" in finding.message
    assert "1 places get no weights" in finding.message


@pytest.mark.parametrize("content", [b"", bytes(100), struct.pack("<Q", 2**40), struct.pack("<Q", 4) + b"{1}}"])
def test_a_header_that_is_none_is_told(stub_hub: Any, options: SourceOptions, content: bytes) -> None:
    publish(stub_hub, content)
    report = reported(options)
    assert report.status == "unchecked"
    assert "adapter_model.safetensors cannot be read" in report.unchecked[0].why


def test_an_adapter_without_weights(stub_hub: Any, options: SourceOptions) -> None:
    publish(stub_hub, None)
    (lack,) = reported(options).unchecked
    assert "no adapter_model.safetensors" in lack.why


def test_an_adapter_without_a_base(stub_hub: Any, options: SourceOptions) -> None:
    publish(stub_hub, weights(), {**SETTINGS, "base_model_name_or_path": ""})
    report = reported(options)
    assert report.status == "unchecked"
    assert "names no base model" in report.unchecked[0].why
