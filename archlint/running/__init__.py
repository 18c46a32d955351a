"""A model is run, forward and backward, where it costs no memory: on the meta device, or as a small copy."""

from archlint.running.batch import Batch
from archlint.running.configs import configs
from archlint.running.crashes import crash_of
from archlint.running.plain_tokens import plain_tokens
from archlint.running.reads import Use, idle_parts, watched
from archlint.running.restore import restored
from archlint.running.runner import MAX_SECONDS, DepthNeededError, Run, Runner, TooSlowError, batches
from archlint.running.small import NoSmallCopyError, one_thread, small_copy
from archlint.running.step import NoLossError, step

__all__ = [
    "MAX_SECONDS",
    "Batch",
    "DepthNeededError",
    "NoLossError",
    "NoSmallCopyError",
    "Run",
    "Runner",
    "TooSlowError",
    "Use",
    "batches",
    "configs",
    "crash_of",
    "idle_parts",
    "one_thread",
    "plain_tokens",
    "restored",
    "small_copy",
    "step",
    "watched",
]
