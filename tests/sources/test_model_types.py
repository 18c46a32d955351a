"""The list that is read from transformers' source is the one that transformers itself has."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from archlint.sources import model_types


def test_the_list_is_that_of_transformers() -> None:
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING, CONFIG_MAPPING_NAMES

    assert model_types._written_types() == frozenset(CONFIG_MAPPING_NAMES)
    assert model_types.model_types() == frozenset(CONFIG_MAPPING.keys())


def test_what_is_registered_counts() -> None:
    from transformers import AutoConfig, PretrainedConfig
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    class OwnConfig(PretrainedConfig):
        model_type = "archlint-own"

    AutoConfig.register("archlint-own", OwnConfig)
    try:
        assert model_types.find("archlint_OWN") == "archlint-own"
    finally:
        del CONFIG_MAPPING._extra_content["archlint-own"]


@pytest.mark.parametrize(
    ("name", "found"),
    [("llama", "llama"), ("XLM_RoBERTa", "xlm-roberta"), ("qwen3-moe", "qwen3_moe"), ("lama", None), ("", None)],
)
def test_spelling(name: str, found: str | None) -> None:
    assert model_types.find(name) == found


def test_transformers_is_not_imported() -> None:
    code = (
        "import sys; from archlint.sources import model_types;"
        "print(len(model_types.model_types()) > 300, 'transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "True False\n"


def test_where_transformers_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model_types._written_types.cache_clear()
    monkeypatch.delitem(sys.modules, "transformers.models.auto.configuration_auto", raising=False)
    monkeypatch.setattr(model_types, "find_spec", lambda name: None)
    assert model_types.model_types() == frozenset()
    model_types._written_types.cache_clear()
    assert model_types.transformers_version() == version("transformers")
