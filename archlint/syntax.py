"""The syntax of Python code that somebody else wrote. It is parsed, never compiled or run."""

from __future__ import annotations

import ast
import warnings


def parsed(text: str) -> ast.Module | None:
    """The syntax tree of ``text``; ``None`` where it is no Python, or nested too deeply to be read.

    Python's parser bounds its own depth, and says so by :class:`RecursionError` or :class:`MemoryError`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes that a string should not hold
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
