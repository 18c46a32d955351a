"""The long run: ``python -m tests.fuzzing --seconds 3600``. See docs/fuzzing.md."""

from __future__ import annotations

import argparse
import collections
import hashlib
import itertools
import json
import os
import random
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzzing import parsers, seeds, strategies
from tests.fuzzing.targets import TARGETS
from tests.fuzzing.whole import Outcome, check

_SMALL = b"""{"model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3,
"num_attention_heads": 4, "vocab_size": 100, "architectures": ["LlamaForCausalLM"]}"""
"""The config of the model that hostile plans are checked on."""
_CHUNK = 200
"""Inputs that a parser is given in one process."""
_BYTES = 2_000
"""Of randomness for an input: the longest need about so many."""
_NUMBERS = re.compile(r"0x[0-9a-f]+|\d+|'[^']{0,80}'|archlint-fuzzing-\w+")


def drawn(strategy: st.SearchStrategy[bytes], seed: int) -> Iterator[bytes]:
    """Examples without end, the same for the same seed."""
    found: list[bytes] = []

    @settings(database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def keep(example: bytes) -> None:
        found.append(example)

    source = random.Random(seed)
    while True:
        keep.hypothesis.fuzz_one_input(source.randbytes(_BYTES))  # type: ignore[attr-defined]
        yield from found
        found.clear()


def main() -> int:
    """Go on until time is up or there were as many inputs as asked for; 1 where one went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzzing", description=__doc__)
    parser.add_argument(
        "what",
        nargs="?",
        default="check",
        choices=["check", "plans", "parsers", *TARGETS],
        metavar="WHAT",
        help="check (the default), plans, parsers, or one of these",
    )
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long")
    parser.add_argument("--count", type=int, default=10_000, help="stop after so many, of each parser")
    parser.add_argument("--seed", type=int, default=0, help="which inputs")
    parser.add_argument("--artifacts", type=Path, default=Path("fuzzing-artifacts"), help="folder for what went wrong")
    parser.add_argument("--no-prove", action="store_true", help="read the structure only: many times as fast")
    asked = parser.parse_args()
    tally: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory(prefix="archlint-fuzzing-") as scratch:
        os.environ |= {"HF_HOME": scratch, "HF_HUB_OFFLINE": "1", "ARCHLINT_CACHE_DIR": f"{scratch}/archlint"}
        os.environ["OMP_NUM_THREADS"] = "1"
        run = _checks(asked) if asked.what in ("check", "plans") else _parsers(asked, Path(scratch))
        for outcome, data, problems in run:
            tally[outcome] += 1
            tally["with problems"] += bool(problems)
            for problem in problems:
                _keep(asked.artifacts, data, problem)
            if tally.total() % 100 < 1 + bool(problems):
                print(dict(sorted(tally.items())), file=sys.stderr, flush=True)
    print(json.dumps(dict(sorted(tally.items()))))
    return 1 if tally["with problems"] else 0


def _checks(asked: argparse.Namespace) -> Iterator[tuple[str, bytes, list[str]]]:
    import archlint.scanning.warm  # noqa: F401 (so that no child imports it again)

    until = time.monotonic() + asked.seconds
    arguments = ["--no-prove"] if asked.no_prove else []
    plans = asked.what == "plans"
    inputs = strategies.plans(".json", seeds.PLANS) if plans else strategies.config_files(seeds.weighted())
    for data in itertools.islice(drawn(inputs, asked.seed), asked.count):
        if plans:
            ended, problems = check(_SMALL, [*arguments, "--adapter-config", "plan.json"], {"plan.json": data})
        else:
            ended, problems = check(data, arguments)
        outcome = ended.value
        yield f"exit code {outcome.exit_code}" if isinstance(outcome, Outcome) else "no outcome", data, problems
        if time.monotonic() > until:
            return


def _parsers(asked: argparse.Namespace, folder: Path) -> Iterator[tuple[str, bytes, list[str]]]:
    named = TARGETS if asked.what == "parsers" else {asked.what: TARGETS[asked.what]}
    for name, target in named.items():
        until = time.monotonic() + asked.seconds / len(named)
        source = drawn(parsers.inputs(name, target), asked.seed)
        for _ in range(0, asked.count, _CHUNK):
            given = list(itertools.islice(source, _CHUNK))
            wrong = list(parsers.problems(target, given, folder))
            yield from ((name, data, [problem]) for data, problem in wrong)
            yield from ((name, b"", []) for _ in range(len(given) - len(wrong)))
            if time.monotonic() > until:
                break


def _keep(folder: Path, data: bytes, problem: str) -> None:
    """Write down an input and what went wrong, once for each way in which things go wrong."""
    kind = _raised(problem) if problem.startswith("Traceback") else problem.partition("\n")[0]
    name = hashlib.sha256(_NUMBERS.sub("", kind).encode()).hexdigest()[:10]
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / f"{name}.input").exists():
        (folder / f"{name}.input").write_bytes(data)
        (folder / f"{name}.txt").write_text(problem, encoding="utf-8", errors="backslashreplace")
        print(f"{name}: {kind:.300}", file=sys.stderr, flush=True)


def _raised(problem: str) -> str:
    """The last place of archlint in a traceback, and the type of what was raised."""
    places = re.findall(r'File "[^"]*/(archlint/[^"]+)", line (\d+)', problem) or [("nowhere", "")]
    raised = re.findall(r"^([\w.]+)(?:: .*)?$", problem, re.MULTILINE) or ["?"]
    return f"{':'.join(places[-1])} {raised[-1]}"


if __name__ == "__main__":
    sys.exit(main())
