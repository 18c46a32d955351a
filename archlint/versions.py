"""The versions of what is installed, without importing it."""

from __future__ import annotations

import functools
import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed

from archlint.core.report import Environment


@functools.cache
def version(package: str) -> str | None:
    """The installed version of ``package``; ``None`` where it is not installed."""
    try:
        return installed(package)
    except PackageNotFoundError:
        return None


@functools.cache
def environment() -> Environment:
    """The versions that a result depends on."""
    return Environment(
        python=platform.python_version(),
        **{name: version(name) for name in ("torch", "transformers", "accelerate", "peft", "trl")},
    )
