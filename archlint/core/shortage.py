"""Where memory ran out in a check, that says nothing of the model."""

from __future__ import annotations

_SAID = ("MemoryError", "can't allocate memory", "Cannot allocate memory", "std::bad_alloc")
"""By Python, torch, the system and C++."""


def ran_out(document: str) -> bool:
    """Whether memory ran out in the check that ``document``, a report or what it was made from, came of."""
    return any(words in document for words in _SAID)
