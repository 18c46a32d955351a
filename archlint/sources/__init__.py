"""From what the user wrote to an architecture's configuration and where it came from. Needs no torch."""

from __future__ import annotations

from archlint.sources.resolution import resolve
from archlint.sources.source import Source, SourceError, SourceOptions

__all__ = ["Source", "SourceError", "SourceOptions", "resolve"]
