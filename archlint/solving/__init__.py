"""The best plan for a scope, found by trial."""

from archlint.solving.nearest import PLACING, nearest, respelled
from archlint.solving.presets import Preset
from archlint.solving.solve import solve, with_rank

__all__ = ["PLACING", "Preset", "nearest", "respelled", "solve", "with_rank"]
