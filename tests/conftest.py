"""What holds for every test: no network, no cache of the user's, no deadline on a busy machine.

``pytest.mark.since(package, version, why)`` skips a test of what an older version of a package does otherwise.
"""

from __future__ import annotations

import os
import tempfile
from importlib import metadata

import pytest
from hypothesis import settings
from packaging.version import Version

# Read by huggingface_hub when it is imported, here and in every process that a test starts. Nothing listens
# on the discard port, so whatever reaches for the hub is refused at once.
_cache = tempfile.TemporaryDirectory(prefix="archlint-tests-")
os.environ["HF_HOME"] = _cache.name
os.environ["HF_ENDPOINT"] = "http://127.0.0.1:9"
os.environ.pop("HF_HUB_CACHE", None)
# Read by torch when it is imported: tensors here are small, and threads of many test processes only wait.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("archlint", settings.default, deadline=None)
settings.load_profile("archlint")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "since(package, version, why): skip the test where package is older")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("since"):
        package, version, why = mark.args
        installed = metadata.version(package)
        if Version(installed) < Version(version):
            pytest.skip(f"{package} {installed}: {why} since {version}")
