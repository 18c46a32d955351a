"""Two real older stacks, from wherever packages come from here; skipped where they cannot be had."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from archlint.matrix.environments import cache

OLDER = ("transformers==5.3.0,peft==0.18.1", "transformers==5.10.4,peft==0.19.1")


def refusal(stack: str) -> str | None:
    """Why pip cannot get ``stack``."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--ignore-installed", "--quiet"]
    asked = subprocess.run([*command, *stack.split(",")], capture_output=True, text=True, check=False)
    return asked.stderr.strip().rpartition("\n")[2] if asked.returncode else None


@pytest.mark.parametrize("tool", ["uv", "pip"])
def test_two_older_stacks_are_installed_and_differ(
    tool: str, shallow: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = os.environ.get("PATH", "").split(os.pathsep)
    if tool == "uv" and shutil.which("uv") is None:
        pytest.skip("there is no uv on the path")
    if tool == "pip":
        monkeypatch.setenv("PATH", os.pathsep.join(folder for folder in path if not Path(folder, "uv").exists()))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    stacks = [word for stack in OLDER for word in ("--with", stack)]
    asked = ["--target-modules", "q_proj", "--trainer", "trl-sft", "--select", "ARC705", "--format", "json"]
    command = [sys.executable, "-m", "archlint", "matrix", shallow("openai/gpt-oss-20b"), *stacks, *asked]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    document = json.loads(done.stdout)
    for stack in document["stacks"]:
        if stack["unchecked"] is not None and (why := refusal(stack["with"])):
            pytest.skip(f"{stack['with']} cannot be had: {why}")
    assert [stack["unchecked"] for stack in document["stacks"]] == [None, None]
    versions = [stack["documents"][0]["environment"] for stack in document["stacks"]]
    assert [(one["transformers"], one["peft"]) for one in versions] == [("5.3.0", "0.18.1"), ("5.10.4", "0.19.1")]
    findings = {one["code"]: one["severities"] for one in document["sources"][0]["findings"]}
    assert findings["ARC705"] == ["error", None], "SFTTrainer adds an auxiliary loss that the older one cannot compute"
    assert done.returncode == 1
    assert len(list(cache().iterdir())) == len(OLDER)
