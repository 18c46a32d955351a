"""Findings that a model's own code suppresses, by comments: ``# archlint: ignore[ARC303] the router stays frozen``."""

from archlint.suppressions.comments import Comment, comments, read
from archlint.suppressions.effect import Suppressions, Useless

__all__ = ["Comment", "Suppressions", "Useless", "comments", "read"]
