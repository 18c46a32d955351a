"""archlint from nothing to the report, beside the script ``naive.py``, in processor time.

Usage: ``python benchmarks/cold.py [ID …]``. Each command runs as a process of its own, in turn, so that a
drift of the machine's speed meets both. Printed are medians, their ratio, and the ratio when the injections
of archlint's further trials, timed inside it, are taken off.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
SNAPSHOTS = HERE.parent / "fixtures" / "snapshots"
MODELS = ("meta-llama/Llama-3.1-8B-Instruct", "google/gemma-4-E2B-it", "Qwen/Qwen3-30B-A3B", "deepseek-ai/DeepSeek-V3")
RUNS = 5

_TIMED = """
import sys, time
from archlint.cli import main
from archlint.proving import Prover
spent = []
try_plan = Prover.try_plan
def timed(self, plan):
    started = time.process_time()
    trial = try_plan(self, plan)
    spent.append(time.process_time() - started)
    return trial
Prover.try_plan = timed
sys.argv = ["archlint", *sys.argv[1:]]
try:
    main()
finally:
    print(sum(spent) - max(spent), len(spent), file=sys.stderr)
"""


def processor_time(command: list[str]) -> tuple[float, str]:
    """Seconds of user and system time of a process, and what it wrote to standard error."""
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = 0
        errors.seek(0)
        return usage.ru_utime + usage.ru_stime, errors.read()


def compare(model: str) -> str:
    """One row of the table."""
    snapshot = SNAPSHOTS / f"{model.replace('/', '--')}.json"
    ours = [sys.executable, "-c", _TIMED, model, "--offline"]
    theirs = [sys.executable, str(HERE / "naive.py"), str(snapshot)]
    mine, naive, further = [], [], []
    for _ in range(RUNS):
        seconds, errors = processor_time(ours)
        mine.append(seconds)
        extra, trials = errors.split()[-2:]
        further.append(float(extra))
        naive.append(processor_time(theirs)[0])
    a, b, c = map(statistics.median, (mine, naive, further))
    return f"| {model} | {a:.2f} s | {b:.2f} s | {a / b:.2f} | {(a - c) / b:.2f} | {trials} |"


def main() -> None:
    print("| model | archlint | naive | ratio | ratio without further trials | trials |")
    print("|---|---|---|---|---|---|")
    for model in sys.argv[1:] or MODELS:
        print(compare(model), flush=True)


if __name__ == "__main__":
    main()
