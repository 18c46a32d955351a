"""transformers copies a repository's code before it runs it: which file of the repository a module comes from."""

from __future__ import annotations

import filecmp
import os
from pathlib import Path


def original(file: str, repository: Path) -> str:
    """The file of ``repository``, in full, that ``file`` is transformers' copy of; ``file`` where it is none."""
    from transformers.dynamic_module_utils import HF_MODULES_CACHE  # type: ignore[attr-defined]

    copy = Path(file)
    if copy.is_relative_to(HF_MODULES_CACHE):
        parts = copy.relative_to(HF_MODULES_CACHE).parts
        for count in range(1, len(parts)):  # the repository's name and a hash of its code stand before
            own = repository.joinpath(*parts[count:])
            if own.is_file() and filecmp.cmp(own, copy, shallow=False):
                return os.path.normpath(own.absolute())  # not resolve(): in the hub's cache names are links
    return file
