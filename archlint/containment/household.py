"""The environment of a contained process: its own folders, and nothing that is anybody's secret."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

_KEPT = ("LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""What the environment may hand on: how to write, and where libraries are."""
_FIXED: Mapping[str, str] = {
    "PATH": "/usr/bin:/bin",
    "USER": "archlint",
    "LOGNAME": "archlint",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONNOUSERSITE": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "CUDA_VISIBLE_DEVICES": "",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TORCHDYNAMO_DISABLE": "1",  # it starts compilers
    "TORCH_COMPILE_DISABLE": "1",
    "WANDB_MODE": "disabled",
}
"""One thread: limits of the kernel hold for those that are started later, and models here are small."""
_FOLDERS: Mapping[str, str] = {
    "HOME": "",
    "TMPDIR": "tmp",
    "XDG_CACHE_HOME": "cache",
    "XDG_CONFIG_HOME": "config",
    "XDG_DATA_HOME": "data",
    "XDG_STATE_HOME": "state",
    "HF_HOME": "hf",
    "HF_MODULES_CACHE": "modules",
    "HF_DATASETS_CACHE": "datasets",
    "HF_TOKEN_PATH": "hf/token",
    "TORCH_HOME": "torch",
    "TORCHINDUCTOR_CACHE_DIR": "torch/inductor",
    "TRITON_CACHE_DIR": "torch/triton",
    "MPLCONFIGDIR": "config",
}
"""Names of folders of its own, by what asks for them."""
FURNISHED = tuple(sorted({folder.partition("/")[0] for folder in _FOLDERS.values()} - {""}))
"""Folders in its home in which libraries look for what may not be there."""


def fresh_home() -> str:
    """A folder that nobody else has anything in; for :func:`remove`."""
    home = os.path.realpath(tempfile.mkdtemp(prefix="archlint-contained-"))
    for name in ("tmp", "cache", "hf", "modules"):
        Path(home, name).mkdir(mode=0o700)
    return home


def remove(home: str) -> None:
    """Take a folder of :func:`fresh_home` away, whatever was done to it; no link in it is followed.

    Folders are lifted out of others, which may lie deeper than a path is long.
    """
    lifted = (os.path.join(home, f"{secrets.token_hex(16)}-{number}") for number in itertools.count())  # noqa: PTH118
    due = [home]
    while due:
        folder = due.pop()
        with contextlib.suppress(OSError):
            Path(folder).chmod(stat.S_IRWXU)
            for entry in list(os.scandir(folder)):
                with contextlib.suppress(OSError):
                    if not entry.is_dir(follow_symlinks=False):
                        Path(entry.path).unlink()
                        continue
                    Path(entry.path).chmod(stat.S_IRWXU)  # else a folder cannot be moved
                    due.append(str(Path(entry.path).rename(next(lifted))))
        if folder != home:
            with contextlib.suppress(OSError):
                Path(folder).rmdir()
    with contextlib.suppress(OSError):
        Path(home).rmdir()


def environment(home: str, cache: Path) -> dict[str, str]:
    """What the process finds in its environment.

    Args:
        home: its own folder.
        cache: the hub's, of which it is shown what it needs.
    """
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    folders = {name: os.path.normpath(Path(home, folder)) for name, folder in _FOLDERS.items()}
    return {**kept, **_FIXED, **folders, "HF_HUB_CACHE": str(cache)}
