"""What the command imports, and what the server does: the one nothing that is heavy, the other all, and no thread."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from archlint.scanning.launching import environment

from .conftest import ROOT, reports
from .fakes import __name__ as FAKES

HEAVY = {"accelerate", "peft", "torch", "transformers", "trl"}


def run(code: str, *arguments: str, cwd: Path) -> tuple[bytes, list[str]]:
    """Standard output, and what of all modules is heavy, once ``code`` has run in a process of its own."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}\nprint(*sys.modules, file=sys.stderr)"
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, cwd=cwd, env=environment(), check=True)
    return done.stdout, sorted(HEAVY & set(done.stderr.decode().split()))


def test_the_command_stays_light(tmp_path: Path) -> None:
    code = f"""
import dataclasses
from {FAKES} import WARM, check_anything
from archlint.cli.app import app
from archlint.scanning import forking, identifying
identity = dataclasses.replace(identifying.usual(), check=check_anything)
identifying.usual = lambda: identity
forking.Forking.__init__.__defaults__ = (WARM,)
try:
    app.main(["scan", "--isolated", "--offline", "--statistics", *sys.argv[1:]])
except SystemExit:
    pass
"""
    model = '{"source": "given", "config": {"model_type": "gpt2"}}'
    (tmp_path / "list.jsonl").write_text(f'"type:gpt2"\n"type:there-is-none"\n{model}\n"Qwen/Qwen3-8B"\n"org/none"')
    out, heavy = run(code, "list.jsonl", cwd=tmp_path)
    statuses = {one["source"]: one["status"] for one in reports(out)}
    assert statuses == {
        "type:gpt2": "clean",
        "type:there-is-none": "unchecked",
        "given": "clean",
        "Qwen/Qwen3-8B": "clean",
        "org/none": "unchecked",
    }
    assert heavy == []


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted as Linux lists them")
def test_the_server_imports_all_and_starts_no_thread(tmp_path: Path) -> None:
    out, heavy = run("import archlint.scanning.warm, os; print(len(os.listdir('/proc/self/task')))", cwd=tmp_path)
    assert int(out) == 1
    assert {"accelerate", "peft", "torch", "transformers"} <= set(heavy)
    assert os.environ.get("JE_ARROW_MALLOC_CONF") is None, "that is the server's alone"
