"""The long run over the parsers: many inputs for each fork, as one takes no time."""

from __future__ import annotations

import functools
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

from hypothesis import strategies as st

from tests.fuzzing import seeds, strategies
from tests.fuzzing.isolation import apart
from tests.fuzzing.targets import Target

_SLOW = 10.0
"""Seconds of processor time that no input of a few kilobytes may take."""


def inputs(name: str, target: Target) -> st.SearchStrategy[bytes]:
    """What a parser is given."""
    suffix = {"plan-json": ".json", "plan-yaml": ".yml", "plan-python": ".py", "plan-shell": ".sh"}.get(name)
    return strategies.inputs(target.seeds()) if suffix is None else strategies.plans(suffix, seeds.PLANS)


def problems(target: Target, given: Sequence[bytes], folder: Path) -> Iterator[tuple[bytes, str]]:
    """The inputs that something is wrong with, and what."""
    ended = apart(functools.partial(_read, target, given), folder)
    if not ended.raised:
        yield from ended.value
    elif len(given) == 1:
        yield given[0], ended.raised
    else:
        middle = len(given) // 2
        yield from problems(target, given[:middle], folder)
        yield from problems(target, given[middle:], folder)


def _read(target: Target, given: Sequence[bytes]) -> list[tuple[bytes, str]]:
    found = []
    for data in given:
        began = time.process_time()
        try:
            target.read(data)
        except Exception:
            found.append((data, traceback.format_exc()))
        if (seconds := time.process_time() - began) > _SLOW:
            found.append((data, f"slow: {seconds:.0f} s of processor time"))
    return found
