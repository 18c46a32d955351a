"""``naive.py`` on one model type after the other, each in a process of its own: some end theirs, or never end.

Usage: ``python benchmarks/naive_loop.py FILE``, with a source such as ``type:bert`` on each line.
"""

import subprocess
import sys
from pathlib import Path

NAIVE = Path(__file__).with_name("naive.py")
SECONDS = 300
"""For one type."""


def raises(name: str) -> bool:
    """Whether building the type, or placing adapters on it, ends with an exception, or not in time."""
    command = [sys.executable, str(NAIVE), name]
    try:
        return subprocess.run(command, capture_output=True, timeout=SECONDS, check=False).returncode != 0
    except subprocess.TimeoutExpired:
        return True


if __name__ == "__main__":
    names = [line.removeprefix("type:") for line in Path(sys.argv[1]).read_text(encoding="utf-8").split()]
    print(f"{len(names)} types, {sum(map(raises, names))} of which raise")
