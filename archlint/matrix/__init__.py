"""The same check under several versions of the stack: environments, what archlint says in each, what differs."""

from archlint.matrix.comparing import Cell, Matrix, Outcome, Trace, compare
from archlint.matrix.packing import NotInstalledError
from archlint.matrix.running import UsageMistakeError, try_stacks
from archlint.matrix.spec import INSTALLED, Stack, StackError, stack

__all__ = [
    "INSTALLED",
    "Cell",
    "Matrix",
    "NotInstalledError",
    "Outcome",
    "Stack",
    "StackError",
    "Trace",
    "UsageMistakeError",
    "compare",
    "stack",
    "try_stacks",
]
