"""Adapters of strangers: settings and headers that say what no adapter has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archlint import published
from archlint.sources import SourceError


def saved(folder: Path, header: dict[str, Any], **settings: Any) -> str:
    """The folder of an adapter with ``header`` in its file of weights, and no bytes of any."""
    content = {"peft_type": "LORA", "base_model_name_or_path": "a/b", "target_modules": ["q_proj"], **settings}
    (folder / "adapter_config.json").write_text(json.dumps(content), encoding="utf-8")
    written = json.dumps(header).encode()
    (folder / "adapter_model.safetensors").write_bytes(len(written).to_bytes(8, "little") + written)
    return str(folder)


def empty(*shape: int) -> dict[str, Any]:
    return {"dtype": "F32", "shape": list(shape), "data_offsets": [0, 0]}


@pytest.mark.parametrize(("rows", "labels"), [(3, 3), (10**6, 10**6), (10**6 + 1, None), (10**12, None)])
def test_no_head_has_more_labels_than_any_model(tmp_path: Path, rows: int, labels: int | None) -> None:
    header = {"base_model.model.score.modules_to_save.weight": empty(rows, 0)}
    adapter = published.find(saved(tmp_path, header, modules_to_save=["score"], task_type="SEQ_CLS"))
    assert adapter is not None
    assert adapter.labels == labels


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff" * 8,
        (2**62).to_bytes(8, "little") + b"{}",
        (100).to_bytes(8, "little") + b"[" * 100,
        (2).to_bytes(8, "little") + b"[]",
        (9).to_bytes(8, "little") + b'{"a":nul}',
    ],
)
def test_what_is_no_header_is_refused(tmp_path: Path, data: bytes) -> None:
    folder = saved(tmp_path, {})
    (tmp_path / "adapter_model.safetensors").write_bytes(data)
    with pytest.raises(SourceError, match="cannot be read"):
        published.find(folder)
