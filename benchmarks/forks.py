"""What a worker of ``archlint scan`` costs beside its check: a fork of a process that has imported all that it needs.

Usage: ``python benchmarks/forks.py SOURCE``. Prints, as JSON, the seconds that a fork and its end take, the megabytes
(10⁶ bytes) that forks share, and those that one has for itself once it has checked SOURCE. For Linux.
"""

import gc
import importlib
import json
import os
import sys
import time
from pathlib import Path

import archlint
from archlint.scanning.forking import WARM

FORKS = 200


def megabytes(kind: str) -> float:
    """Memory of this process that is ``Rss``, or ``Private``."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(kind)) * 1024 / 10**6


def forked() -> float:
    """Seconds for a fork that does nothing."""
    started = time.perf_counter()
    for _ in range(FORKS):
        if (child := os.fork()) == 0:
            os._exit(0)
        os.waitpid(child, 0)
    return (time.perf_counter() - started) / FORKS


def own(source: str) -> float:
    """Megabytes of a fork that has checked ``source`` which are in no other process."""
    ours, theirs = os.pipe()
    if (child := os.fork()) == 0:
        try:
            archlint.lint(source, offline=True)
            os.write(theirs, str(megabytes("Private")).encode())
        finally:
            os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as answer:
        told = float(answer.read())
    os.waitpid(child, 0)
    return told


if __name__ == "__main__":
    for module in WARM:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()
    print(json.dumps({"fork": forked(), "shared": megabytes("Rss"), "own": own(sys.argv[1])}))
