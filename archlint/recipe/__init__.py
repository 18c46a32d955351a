"""The best plan for a scope, found by trial."""

from archlint.recipe.solve import solve

__all__ = ["solve"]
