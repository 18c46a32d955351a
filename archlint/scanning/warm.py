"""Imported once by the process that models are forked from: all that a check needs, so that none imports it again.

Nothing here may start a thread: a fork takes the one that calls it, and leaves the others' locks behind.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pkgutil

_LIBRARIES = (
    "torch",
    "transformers.modeling_utils",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.processing_auto",
    "transformers.trainer",
    "accelerate",
    "peft.utils.transformers_weight_conversion",
    "trl",
)
_STAGES = ("skeleton", "survey", "running", "proving", "solving", "surgery", "training", "suppressions", "rules")
"""Packages of archlint that a check imports when it comes to them."""
_MODULES = ("engine", "evidence", "judging", "memory", "reporting", "subject", "scanning.jobs")


def _import(name: str) -> None:
    with contextlib.suppress(Exception):  # a check that needs what is not there says so itself
        importlib.import_module(name)


# pyarrow's allocator, which comes with transformers.trainer
os.environ.setdefault("JE_ARROW_MALLOC_CONF", "background_thread:false")
for _name in (*_LIBRARIES, *(f"archlint.{part}" for part in (*_MODULES, *_STAGES))):
    _import(_name)
for _stage in _STAGES:
    _package = importlib.import_module(f"archlint.{_stage}")
    for _module in pkgutil.walk_packages(_package.__path__, f"{_package.__name__}."):
        _import(_module.name)
