"""What holds for every test: no network, no cache of the user's, no deadline on a busy machine."""

from __future__ import annotations

import os
import tempfile

from hypothesis import settings

# Read by huggingface_hub when it is imported, here and in every process that a test starts. Nothing listens
# on the discard port, so whatever reaches for the hub is refused at once.
_cache = tempfile.TemporaryDirectory(prefix="archlint-tests-")
os.environ["HF_HOME"] = _cache.name
os.environ["HF_ENDPOINT"] = "http://127.0.0.1:9"
os.environ.pop("HF_HUB_CACHE", None)

settings.register_profile("archlint", settings.default, deadline=None)
settings.load_profile("archlint")
