"""The best plan for a scope, found by trial."""

from archlint.solving.solve import solve

__all__ = ["solve"]
