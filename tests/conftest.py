"""What holds for every test: no network, no cache of a user, nothing kept, no deadline when busy, little garbage.

``pytest.mark.since(package, version, why)`` skips a test of what an older version of a package does otherwise.
"""

from __future__ import annotations

import functools
import gc
import json
import os
import tempfile
from collections.abc import Callable
from importlib import metadata
from typing import Any

import pytest
from hypothesis import settings
from packaging.version import Version

# Read by huggingface_hub when it is imported, here and in every process that a test starts. Nothing listens
# on the discard port, so whatever reaches for the hub is refused at once.
_cache = tempfile.TemporaryDirectory(prefix="archlint-tests-")
os.environ["HF_HOME"] = _cache.name
os.environ["HF_ENDPOINT"] = "http://127.0.0.1:9"
os.environ.pop("HF_HUB_CACHE", None)
# Tests change what a result depends on in ways that no key tells: nothing is kept but where a test is about that.
os.environ["ARCHLINT_CACHE_DIR"] = f"{_cache.name}/archlint"
os.environ["ARCHLINT_CACHE_LIMIT"] = "0"
# Read by torch when it is imported: tensors here are small, and threads of many test processes only wait.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("archlint", settings.default, deadline=None)
settings.load_profile("archlint")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "since(package, version, why): skip the test where package is older")


def pytest_collection_finish() -> None:
    """Leave what collection imported out of garbage collection: going over all of transformers again takes its time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("since"):
        package, version, why = mark.args
        installed = metadata.version(package)
        if Version(installed) < Version(version):
            pytest.skip(f"{package} {installed}: {why} since {version}")


SHALLOW: dict[str, dict[str, Any]] = {
    "google/gemma-4-E2B-it": {
        "text_config": {
            "num_hidden_layers": 4,
            "layer_types": ["sliding_attention", "full_attention"] * 2,
            "num_kv_shared_layers": 2,
        },
        "vision_config": {"num_hidden_layers": 1},
        "audio_config": {"num_hidden_layers": 1},
    },
    "google/gemma-4-26B-A4B-it": {"text_config": {"num_hidden_layers": 6}},
    "google/gemma-4-31B-it": {"text_config": {"num_hidden_layers": 6}},
    "meta-llama/Llama-4-Scout-17B-16E-Instruct": {
        "text_config": {"num_hidden_layers": 4},
        "vision_config": {"num_hidden_layers": 1},
    },
    "google/gemma-3-4b-it": {"text_config": {"num_hidden_layers": 6}, "vision_config": {"num_hidden_layers": 2}},
    "Qwen/Qwen3-30B-A3B": {"num_hidden_layers": 2},
    "Qwen/Qwen3-VL-8B-Instruct": {"text_config": {"num_hidden_layers": 4}, "vision_config": {"depth": 2}},
    "Qwen/Qwen3.5-27B": {"text_config": {"num_hidden_layers": 8}, "vision_config": {"depth": 1}},
    "Qwen/Qwen3.5-35B-A3B": {"text_config": {"num_hidden_layers": 8}, "vision_config": {"depth": 1}},
    "ai21labs/Jamba-v0.1": {"num_hidden_layers": 8},
    "deepseek-ai/DeepSeek-V3": {"num_hidden_layers": 5},
    "llava-hf/llava-1.5-7b-hf": {"text_config": {"num_hidden_layers": 2}, "vision_config": {"num_hidden_layers": 2}},
    "openai/gpt-oss-20b": {"num_hidden_layers": 2},
    "state-spaces/mamba-130m-hf": {"num_hidden_layers": 2},
    "tiiuae/Falcon-H1-0.5B-Instruct": {"num_hidden_layers": 2},
    "type:llama": {"num_hidden_layers": 2},
    "type:mamba2": {"num_hidden_layers": 2},
}
"""What models have less of, so that each kind of layer is there, and not thirty times."""


@pytest.fixture(scope="session")
def shallow(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Makes a folder with the config of a model of few layers, from the source that it is given."""
    from archlint.sources import SourceOptions, resolve

    def make(model: str) -> str:
        config = dict(resolve(model, SourceOptions(offline=True)).config or {})
        for name, value in SHALLOW[model].items():
            config[name] = {**config.get(name, {}), **value} if isinstance(value, dict) else value
        folder = tmp_path_factory.mktemp("shallow")
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
        return str(folder)

    return functools.cache(make)
