"""The environment of a contained process, which tells of the secrets that are looked for in it: there are none."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

LOOKED_FOR = "archlint.environ.secret"
"""The audit event of a secret that is looked for, with its name."""
LOOKED_THROUGH = "archlint.environ.all"
_SECRETS = frozenset({"TOKEN", "SECRET", "SECRETS", "PASSWORD", "PASSWD", "CREDENTIALS", "KEY", "APIKEY", "PAT"})
"""Words that names of secrets have: ``HF_TOKEN``, ``AWS_SECRET_ACCESS_KEY``."""


class _Watched(dict[Any, Any]):
    """The variables as ``os.environ`` holds them, encoded."""

    def __missing__(self, key: Any) -> Any:
        name = os.fsdecode(key)
        if not _SECRETS.isdisjoint(name.upper().split("_")):
            sys.audit(LOOKED_FOR, name)
        raise KeyError(key)

    def __iter__(self) -> Iterator[Any]:
        sys.audit(LOOKED_THROUGH)
        return super().__iter__()


def watch() -> None:
    """Have audit events raised for secrets that are looked for, and where all variables are gone through."""
    variables = _Watched(os.environ._data)  # type: ignore[attr-defined]
    os.environ._data = variables  # type: ignore[attr-defined]
    os.environb._data = variables  # type: ignore[attr-defined]
