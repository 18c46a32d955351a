"""A model is run, forward and backward, where it costs no memory: on the meta device."""

from archlint.running.restore import restored
from archlint.running.runner import Run, Runner

__all__ = ["Run", "Runner", "restored"]
