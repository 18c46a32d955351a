"""The best plan for a scope, found by trial."""

from archlint.solving.nearest import PLACING, nearest, respelled
from archlint.solving.solve import solve, with_rank

__all__ = ["PLACING", "nearest", "respelled", "solve", "with_rank"]
