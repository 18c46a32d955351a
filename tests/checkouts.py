"""This checkout as others install it, without fetching or installing torch and the like once more."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
RELEASED = (
    *("archlint", "rules", "fixtures", ".github"),
    *("pyproject.toml", "setup.py", "constraints.txt", "README.md", "LICENSE", ".pre-commit-hooks.yaml", "action.yml"),
)
ROUTED = Path(__file__).parent / "repositories" / "routed"
"""A model with code of its own that breaks under LoRA."""


def copied(folder: Path) -> Path:
    """What of this checkout is released, in ``folder``."""
    for name in RELEASED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder)
    return folder


def environment() -> dict[str, str]:
    """That of a process in which pip fetches nothing: new virtual environments find the packages of the tests."""
    packages = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    foreign = ("GIT_", "GITHUB_", "INPUT_", "PIP_", "PRE_COMMIT", "VIRTUALENV_")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(foreign)},
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_BUILD_ISOLATION": "0",  # pip reads it so: there is none
        "PIP_NO_DEPS": "1",
        "PIP_NO_INDEX": "1",
        "PYTHONPATH": os.pathsep.join(packages),
    }
