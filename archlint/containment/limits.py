"""What code of a repository may take before it is stopped."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one contained process; what archlint itself takes there counts as well."""

    memory: int = 6 * 2**30
    """Bytes: of the process, and of what it asks the system for."""
    threads: int = 256
    file: int = 64 * 2**20
    """Bytes of one file."""
    files: int = 256 * 2**20
    """Bytes of all files in its folder together."""
    count: int = 10_000
    """Number of files in its folder."""
    seconds: float = 60.0
    """By the clock, for one question; more for those that archlint itself bounds later."""
    total: float = 300.0
    """By the clock, for all questions together."""
    idle: float = 10.0
    """Seconds in which it computes nothing while something is asked of it: there is nothing that it could wait for."""
    start: float = 120.0
    """Seconds until Python and the libraries are there, before anything of the repository runs."""
    answer: int = 64 * 2**20
    """Bytes of one answer."""
    output: int = 2**20
    """Bytes on standard output and error that are no cause for a remark."""
    remarks: int = 20
    """Different ones of a kind, at most: many of one are not to hide another."""
