"""Rows about many sources, found in other processes: one that hangs or crashes costs the row of one source alone."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

Row = dict[str, Any]
Find = Callable[[str], Row]
"""The row of a source, whatever happens; a function of a module, which other processes find there."""


def found(find: Find, sources: Sequence[str], *, jobs: int, chunk: int, seconds: float) -> Iterator[Row]:
    """The rows of ``sources``, in their order.

    Args:
        jobs: processes at a time.
        chunk: sources that one process is for.
        seconds: what one source may take.
    """
    chunks = [sources[start : start + chunk] for start in range(0, len(sources), chunk)]
    with ThreadPoolExecutor(jobs) as pool:
        for rows in pool.map(partial(_chunk, find, seconds), chunks):
            yield from rows


def _chunk(find: Find, seconds: float, sources: Sequence[str]) -> list[Row]:
    rows: list[Row] = []
    while len(rows) < len(sources):
        rows += _in_a_process(find, seconds, sources[len(rows) :])
    return rows


def _in_a_process(find: Find, seconds: float, sources: Sequence[str]) -> Iterator[Row]:
    """The rows of ``sources`` up to the first that stops the process, which says so."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(find, sources, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        for source in sources:
            if not ours.poll(seconds):
                yield {"name": source, "stopped": f"took more than {seconds:.0f} s"}
                return
            try:
                yield ours.recv()
            except EOFError:
                yield {"name": source, "stopped": "ended its process"}
                return
    finally:
        process.kill()
        process.join()


def _work(find: Find, sources: Iterable[str], results: Connection) -> None:
    silence = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(silence, stream)
    for source in sources:
        results.send(find(source))
