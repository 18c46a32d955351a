"""What reading may cost: files are written by anybody, and a loop in them can be as long as its author likes."""

from __future__ import annotations

MAX_SECONDS = 20.0
"""Of the processor; the largest models of transformers take a tenth of it."""
MAX_STEPS = 6_000_000
"""Statements and expressions."""
MAX_ITEMS = 20_000_000
"""Characters, and elements of lists, tables and tensors, all that are made together."""
MAX_LENGTH = 1_000_000
"""Of one list, text or table."""
MAX_BITS = 2_048
"""Of one number."""
MAX_CALLS = 45
"""Calls inside one another; deeper ones would end in Python's own limit."""
MAX_NESTING = 80
"""Expressions and statements inside one another, between two calls."""
MAX_FILE = 2_000_000
"""Bytes of one file; the longest of transformers has 400,000."""
MAX_FILES = 300
MAX_MODULES = 200_000
MAX_MODULE_DEPTH = 40
MAX_COUNT = 1_024
"""Layers of one module of torch that makes several itself."""
MAX_TENSOR = 1 << 16
"""Elements of a tensor whose numbers are computed; of larger ones only the shape is."""
SMALL = 10_000
"""Elements, at all depths, of what is compared, shown or copied in one go."""


class ReadingError(Exception):
    """Nothing could be read; the message is one line that says why."""


class TooMuchError(ReadingError):
    """The code asks for more than any model needs."""


class OutOfTimeError(BaseException):
    """Raised wherever the time is up: no handler of plain exceptions is to catch it."""


class Budget:
    """Counts what has been spent."""

    def __init__(self) -> None:
        self.steps = 0
        self.items = 0
        self.modules = 0

    def step(self, count: int = 1) -> None:
        self.steps += count
        if self.steps > MAX_STEPS:
            raise TooMuchError("the repository's own code does more than any model needs")

    def take(self, items: int) -> None:
        """Note that as many characters or elements are made."""
        self.items += items
        if items > MAX_LENGTH or self.items > MAX_ITEMS:
            raise TooMuchError("the repository's own code makes more data than any model needs")

    def module(self, count: int = 1) -> None:
        self.modules += count
        if self.modules > MAX_MODULES:
            raise TooMuchError(f"the repository's own code makes more than {MAX_MODULES:,} modules")
