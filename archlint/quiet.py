"""Keep the libraries' noise (warnings, log lines, prints, progress bars) from the user's terminal."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Iterator

_NOISY = ("transformers", "peft", "accelerate", "huggingface_hub", "torch", "trl", "datasets")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence the libraries for a block; what was there before is restored after it."""
    levels = {name: logging.getLogger(name).level for name in _NOISY}
    bars = os.environ.get("HF_HUB_DISABLE_PROGRESS_BARS")
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    sink = io.StringIO()
    try:
        for name in _NOISY:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(sink),
            contextlib.redirect_stderr(sink),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        if bars is None:
            del os.environ["HF_HUB_DISABLE_PROGRESS_BARS"]
        else:
            os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = bars
