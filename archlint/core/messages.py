"""What an exception or a warning says, in the same words in every process."""

from __future__ import annotations

import re

_SET = re.compile(r"\{('[^'{}]*'(?:, '[^'{}]*')+)\}")
_ADDRESS = re.compile(r"(?<=[\w>)]) at 0x[0-9a-fA-F]{6,}")


def settled(message: str) -> str:
    """``message`` with the names of a set in order, and without addresses: both differ from one process to the next."""
    ordered = _SET.sub(lambda found: "{" + ", ".join(sorted(found[1].split(", "))) + "}", message)
    return _ADDRESS.sub("", ordered)
