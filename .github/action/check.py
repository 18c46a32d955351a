"""A step of the action: archlint, called as the inputs say, which are read from the environment and never by a shell.

What archlint prints and its exit code are those of the step; numbers of findings become outputs.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

WRONG_USAGE = 2
NUMBERS = ("errors", "warnings", "infos", "unchecked", "mended")
"""Fields of the report's summary that are outputs; the last is there with ``against`` alone."""
OPTIONS = ("adapter-config", "format", "fail-on", "baseline", "against")
"""Inputs that are options of the same name, left out where they are empty."""


class InputError(Exception):
    """An input has a value that means nothing."""


def value(name: str) -> str:
    return os.environ[f"INPUT_{name.upper().replace('-', '_')}"].strip()


def arguments(report: Path) -> Iterator[str]:
    """The arguments of ``archlint check``; with ``report`` for the numbers."""
    yield from (f"--{name}={value(name)}" for name in OPTIONS if value(name))
    if value("sarif-output"):
        yield f"--also=sarif={value('sarif-output')}"
    yield f"--also=json={report}"
    if value("trust-remote-code") not in ("true", "false"):
        raise InputError(f"trust-remote-code is true or false, not {value('trust-remote-code')!r}")
    if value("trust-remote-code") == "true":
        yield "--trust-remote-code"
    try:
        yield from shlex.split(value("args"))
    except ValueError as error:
        raise InputError(f"args: {error}") from error
    yield "--"
    sources = [line.strip() for line in value("sources").splitlines() if line.strip()]
    yield from sources or ([] if value("adapter-config") else ["."])


def main() -> int:
    report = Path(os.environ["RUNNER_TEMP"], "archlint-report.json")
    report.unlink(missing_ok=True)
    try:
        # not python -m, which would import what lies in the repository that is checked
        command = [str(Path(sys.executable).with_name("archlint")), "check", *arguments(report)]
    except InputError as error:
        print(f"::error title=archlint::{error}", flush=True)
        tell({"exit-code": WRONG_USAGE})
        return WRONG_USAGE
    code = subprocess.run(command, check=False).returncode
    numbers = json.loads(report.read_text(encoding="utf-8"))["summary"] if report.is_file() else {}
    tell({"exit-code": code, **{name: numbers[name] for name in NUMBERS if name in numbers}})
    return code


def tell(outputs: Mapping[str, int]) -> None:
    """Make these the step's outputs."""
    with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as file:
        file.writelines(f"{name}={content}\n" for name, content in outputs.items())


if __name__ == "__main__":
    sys.exit(main())
