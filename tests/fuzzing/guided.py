"""The parsers under a fuzzer that is guided by coverage: ``python -m tests.fuzzing.guided plan-yaml``.

What follows the name of the parser goes to libFuzzer, such as ``-max_total_time=600``. See docs/fuzzing.md.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

LIMITS = ("-timeout=20", "-rss_limit_mb=4096", "-max_len=20000")
"""Of one input: seconds, memory and bytes."""


def main(name: str, *options: str) -> None:
    """Fuzz a parser until it fails or libFuzzer's options say to stop; what it fails at is left as ``crash-…``."""
    import atheris

    with atheris.instrument_imports(include=["archlint"]):
        from tests.fuzzing.targets import TARGETS
    target = TARGETS[name]
    with tempfile.TemporaryDirectory(prefix="archlint-corpus-") as corpus:
        _write(target.seeds(), Path(corpus))
        atheris.Setup([sys.argv[0], *LIMITS, *options, corpus], target.read)
        atheris.Fuzz()


def _write(seeds: Iterable[bytes], folder: Path) -> None:
    for seed in seeds:
        (folder / hashlib.sha256(seed).hexdigest()).write_bytes(seed)


if __name__ == "__main__":
    main(*sys.argv[1:])
