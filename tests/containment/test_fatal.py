"""Code that never answers: it is stopped in time, and the remark says what for."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from archlint.containment import Limits

from .levels import means, run

MIB = 2**20
CASES = {
    "sleeps": ("import time\ntime.sleep(1e6)", Limits(idle=0.6), "waited for 0.6 s"),
    "sleeps again and again": ("import time\nwhile True: time.sleep(0.01)", Limits(idle=0.6), "waited for 0.6 s"),
    "waits for itself": ("import threading\nthreading.Event().wait()", Limits(idle=0.6), "waited for 0.6 s"),
    "computes": ("while True: pass", Limits(seconds=0.6), "ran for 0.6 s without an answer"),
    "takes all memory": (
        "import os\nheld = []\nwhile True: held.append(os.urandom(10**7))",
        Limits(memory=300 * MIB),
        "asked for more memory than 300 MiB",
    ),
    "maps all memory": (
        "import mmap\nheld = []\nwhile True:\n    held.append(mmap.mmap(-1, 10**7))\n    held[-1].write(bytes(10**7))",
        Limits(memory=300 * MIB),
        "asked for more memory than 300 MiB",
    ),
    "takes all memory, and catches the error": (
        "held = []\nwhile True:\n    try: held.append(bytearray(10**7) or 1)\n    except MemoryError: pass",
        Limits(memory=300 * MIB, seconds=2),
        "stopped",
    ),
    "starts threads": (
        "import threading, time\nwhile True:\n"
        "    try: threading.Thread(target=time.sleep, args=(1e6,)).start()\n    except RuntimeError: pass",
        Limits(threads=40),
        "started more than 40 threads",
    ),
    "writes many files": (
        "import itertools, os\nfor number in itertools.count():\n"
        "    open(os.path.expanduser(f'~/{number}'), 'wb').write(bytes(10**6))",
        Limits(files=20 * MIB),
        "wrote more than 20 MiB of files",
    ),
    "makes many files": (
        "import itertools, os\nfor number in itertools.count(): open(os.path.expanduser(f'~/{number}'), 'wb').close()",
        Limits(count=500),
        "made more than 500 files",
    ),
    "deletes the files that it writes": (
        "import os\nheld = []\nwhile True:\n    held.append(open(os.path.expanduser('~/own'), 'wb', 0))\n"
        "    os.remove(held[-1].name)\n    held[-1].write(bytes(10**6)) if len(held) < 400 else held.clear()",
        Limits(files=20 * MIB, seconds=20),
        "wrote more than 20 MiB of files",
    ),
    "writes deeper than paths reach": (
        "import os\nos.chdir(os.path.expanduser('~'))\nfor _ in range(30): os.mkdir('a' * 200), os.chdir('a' * 200)\n"
        "while True: pass",
        Limits(seconds=20),
        "hid files in folders that cannot be looked into",
    ),
    "ends": ("import os\nos._exit(0)", None, "ended the process with exit code 0"),
    "aborts": ("import os\nos.abort()", None, "ended the process with SIGABRT"),
    "crashes": ("import ctypes\nctypes.string_at(0)", None, "ended the process with SIGSEGV"),
    "ignores signals": (
        "import signal, time\nfor one in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:\n"
        "    signal.signal(one, signal.SIG_IGN)\ntime.sleep(1e6)",
        Limits(idle=0.6),
        "waited for 0.6 s",
    ),
    "closes all": (
        "import os\nos.closerange(0, 500)\nwhile True: pass",
        Limits(seconds=20),
        "closed what archlint listens at",
    ),
    "puts something else in their place": (
        "import os\nfor one in range(3, 1000):\n    try: os.dup2(os.open(os.devnull, os.O_RDWR), one)\n"
        "    except OSError: pass\nwhile True: pass",
        Limits(seconds=20),
        "closed what archlint listens at",
    ),
    "forges answers": (
        "import os\nfor one in range(3, 1000):\n"
        '    try: os.write(one, b\'{"word": "", "answer": 1}\\n\' * 9)\n    except OSError: pass',
        None,
        "wrote",
    ),
    "answers for ever": (
        "import os\nwhile True:\n    for one in range(3, 1000):\n"
        "        try: os.write(one, b'[' * 10**5)\n        except OSError: pass",
        Limits(answer=MIB),
        "wrote into what archlint is told by",
    ),
    "has a name without end": ("seen = 'x' * 10**6", None, "gave an answer that is too large in parts"),
    "writes to all that it finds": (
        "import os\nfor one in os.listdir('/proc/self/fd'):\n"
        "    try: open(f'/proc/self/fd/{one}', 'wb', 0).write(b'\\n' * 10)\n    except OSError: pass\n"
        "for one in range(3, 1000):\n    try: os.write(one, b'\\xff\\n')\n    except OSError: pass",
        None,
        "wrote",
    ),
}


@pytest.mark.parametrize("level", ["everything", "limits"])
@pytest.mark.parametrize("case", CASES)
def test_code_that_gives_no_answer_is_stopped(case: str, level: str, tmp_path: Path) -> None:
    code, limits, words = CASES[case]
    how = means(level)
    begun = time.monotonic()
    ran = run(code, tmp_path / "repository", how, limits)
    assert ran.lost
    assert ran.says(words), ran
    assert time.monotonic() - begun < 60  # nothing hangs


@pytest.mark.parametrize("level", ["unshare", "kernel", "bubblewrap"])
def test_whatever_contains_it_ends_with_it(level: str, tmp_path: Path) -> None:
    ran = run("import time\ntime.sleep(1e6)", tmp_path / "repository", means(level), Limits(idle=0.6))
    assert ran.says("waited for 0.6 s"), ran


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise KeyboardInterrupt", "raised KeyboardInterrupt"),
        ("raise SystemExit(0)", "raised SystemExit: 0"),
        ("class Own(BaseException): pass\nraise Own('x')", "raised Own: x"),
        (
            "class Own(BaseException):\n    def __str__(self): raise KeyboardInterrupt\nraise Own",
            "raised Own",
        ),
        ("import os\nos.write(2, b'\\x1b[2J')", "wrote control characters to the terminal: withheld"),
        ("print('\\x9b2J')", "wrote control characters to the terminal: withheld"),
        ("print('\\x1b[2J' * 10**6)", "wrote 4,000,001 bytes to the terminal: withheld"),
    ],
)
def test_what_ends_a_program_ends_no_check(code: str, words: str, tmp_path: Path) -> None:
    ran = run(code, tmp_path / "repository", means("limits"))
    assert ran.says(words), ran


def test_a_file_that_grows_too_large_is_named_where_it_is_taken_away_again(tmp_path: Path) -> None:
    code = """
    import os
    name = os.path.expanduser("~/own")
    try:
        with open(name, "wb", 0) as file:
            while True: file.write(bytes(10**6))
    except OSError:
        os.remove(name)
    seen = True
    """
    ran = run(code, tmp_path / "repository", means("limits"), Limits(file=5 * MIB))
    assert ran.seen
    assert ran.says("tried to write more into a file than it may: refused")


@pytest.mark.parametrize("level", ["everything", "limits"])
def test_it_ends_with_archlint_whatever_ends_that(level: str, tmp_path: Path) -> None:
    """As the system does where memory runs out, without a word."""
    means(level)
    mark = tmp_path / "repository" / "pid"
    code = "import os, time\nprint('begun', flush=True)\nwhile True: time.sleep(0.01)"
    starter = f"""
import sys, threading, time
sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parents[2])]!r}
import pathlib, levels
from archlint.containment.process import Process
begin = Process.begin
def begun(self, setup):
    said = begin(self, setup)
    print(self._popen.pid, flush=True)
    return said
Process.begin = begun
levels.run({code!r}, pathlib.Path({str(mark.parent)!r}), levels.means({level!r}))
"""
    folders = {**os.environ, "TMPDIR": str(tmp_path)}  # which nobody is left to take away
    with subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE, env=folders) as archlint:
        assert archlint.stdout is not None
        family = psutil.Process(int(archlint.stdout.readline())).children(recursive=True)
        family.append(psutil.Process(archlint.pid).children()[0])
        archlint.kill()
    assert family
    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == []


def test_one_large_file_is_cut(tmp_path: Path) -> None:
    code = "import os\nfile = open(os.path.expanduser('~/large'), 'wb')\nwhile True: file.write(bytes(10**6))"
    ran = run(code, tmp_path / "repository", means("limits"), Limits(file=5 * MIB))
    assert "File too large" in ran.lost
    assert ran.says("wrote a file of 5 MiB"), ran


def test_what_is_registered_for_the_end_does_not_run(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    code = f"import atexit, pathlib\natexit.register(pathlib.Path({str(outside)!r}).touch)\nseen = True"
    assert run(code, tmp_path / "repository", means("limits")).seen is True
    assert not outside.exists()
