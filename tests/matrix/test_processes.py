from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from archlint.matrix.processes import run

FAMILY = """
import subprocess, sys, time, pathlib, os
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
pathlib.Path(sys.argv[1]).write_text(f"{os.getpid()} {child.pid}")
os.kill(os.getppid(), __import__("signal").SIGINT)
time.sleep(60)
"""


def lives(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="processes are looked up in /proc")
def test_an_interrupt_ends_a_process_and_what_it_started(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run([sys.executable, "-c", FAMILY, str(tmp_path / "family")])
    finally:
        signal.signal(signal.SIGINT, before)
    family = [int(word) for word in (tmp_path / "family").read_text().split()]
    until = time.monotonic() + 5
    while any(map(lives, family)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(lives, family))


def test_what_it_says_is_given_back() -> None:
    ended = run(
        [sys.executable, "-c", "import sys; print('ä'); print('b', file=sys.stderr); sys.exit(4)"],
        env={**os.environ, "PYTHONUTF8": "1"},
    )
    assert (ended.code, ended.out.strip(), ended.error.strip()) == (4, "ä", "b")
