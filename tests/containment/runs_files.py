"""What a contained process answers by where no model is needed: it runs a file, and gives what that has seen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Answering:
    kinds: Mapping[type[BaseException], str] = {}

    def answer(self, file: str) -> Any:
        namespace: dict[str, Any] = {"__name__": "own", "__file__": file}
        exec(compile(Path(file).read_text(), file, "exec"), namespace)
        return namespace.get("seen")
