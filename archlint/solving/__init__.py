"""The best plan for a scope, found by trial."""

from archlint.solving.nearest import PLACING, nearest, respelled
from archlint.solving.presets import Preset
from archlint.solving.solve import solve

__all__ = ["PLACING", "Preset", "nearest", "respelled", "solve"]
