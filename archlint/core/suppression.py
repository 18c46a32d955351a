"""Findings that a comment in the model's own code says are known and meant."""

from __future__ import annotations

from dataclasses import dataclass

from archlint.core.finding import Finding, Location


@dataclass(frozen=True, slots=True)
class Suppressed:
    """A finding that does not count, and the comment that says so."""

    finding: Finding
    location: Location
    """Where the comment stands."""
    reason: str = ""
    """What the comment says beside; empty where it gives no reason."""
