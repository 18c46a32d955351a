"""The whole check of one hostile configuration, by the command line, and what must hold of it."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from huggingface_hub import constants

from archlint.cli.app import app
from tests.fuzzing import rendered, watching
from tests.fuzzing.isolation import Ended, apart

ROOT = Path(__file__).parents[2]
SHOWN = "json"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check came to."""

    exit_code: int
    status: str
    """Of the report; empty where there is none."""
    problems: tuple[str, ...]
    """What must not be."""


def check(
    config: bytes, arguments: Sequence[str] = (), files: dict[str, bytes] | None = None
) -> tuple[Ended, list[str]]:
    """The check of a folder with ``config`` as its config.json, in a process of its own.

    Args:
        config: what the file holds.
        arguments: further ones of the command line.
        files: others to lie in the working directory, by name.

    Returns:
        how it ended, with an :class:`Outcome` as the value; and what is wrong with it.
    """
    with tempfile.TemporaryDirectory(prefix="archlint-fuzzing-") as name:
        folder = Path(name)
        for place in ("model", "work", "tmp"):
            (folder / place).mkdir()
        (folder / "model" / "config.json").write_bytes(config)
        for file, content in (files or {}).items():
            (folder / "work" / file).write_bytes(content)
        before = _tree(folder)
        ended = apart(lambda: _checked(folder, arguments), folder / "work")
        found = list(ended.failures)
        if isinstance(ended.value, Outcome):
            found += ended.value.problems
        allowed = {*before, *(f"work/report.{style}" for style in rendered.FORMATS)}
        found += [f"outside: left behind: {path!r}" for path in _tree(folder) - allowed if not path.startswith("tmp/")]
        return ended, found


def _tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def _checked(folder: Path, arguments: Sequence[str]) -> Outcome:
    others = [style for style in rendered.FORMATS if style != SHOWN]
    also = [part for style in others for part in ("--also", f"{style}=report.{style}")]
    tempfile.tempdir = str(folder / "tmp")
    token = Path(constants.HF_TOKEN_PATH)  # which is looked for before it is found that there is no hub
    inside = [folder, Path(os.environ["ARCHLINT_CACHE_DIR"])]
    done_outside = watching.watch(inside, [ROOT, token, *watching.interpreter()])
    call = ["check", "../model", "--offline", "--no-cache", "--format", SHOWN, *also, *arguments]
    result = CliRunner(catch_exceptions=False).invoke(app, call)
    outside = tuple(dict.fromkeys(done_outside))
    texts = {style: path.read_text("utf-8") for style in others if (path := Path(f"report.{style}")).is_file()}
    texts[SHOWN] = result.stdout
    if "Traceback" in result.stderr:
        return Outcome(result.exit_code, "", (f"Traceback{result.stderr.partition('Traceback')[2]}",))
    if not texts[SHOWN] and result.exit_code == 2:
        silent = () if "error: " in result.stderr else (f"exit code 2: {result.stderr}",)
        return Outcome(2, "", (*outside, *rendered.unprintable(result.stderr), *silent))
    problems = (*outside, *rendered.unprintable(result.stderr), *rendered.problems(texts))
    try:
        (report,) = json.loads(texts[SHOWN])["reports"]
    except (ValueError, KeyError) as error:
        return Outcome(result.exit_code, "", (*problems, f"exit code {result.exit_code} and no report: {error}"))
    return Outcome(result.exit_code, report["status"], (*problems, *_wrong_code(result.exit_code, report)))


def _wrong_code(code: int, report: dict[str, Any]) -> Iterator[str]:
    """0 for what is checked and harmless, 1 for an error, 3 for what could not be checked, as the help says."""
    judged = [one for one in report["findings"] if one["severity"] == "error" and not one["unchecked"]]
    due = 1 if judged else 3 if report["unchecked"] else 0
    if code != due:
        yield f"exit code {code}, not {due}"
    if report["model"] is None and code != 3:
        yield f"exit code {code} without a model"
    for finding in report["findings"]:
        if finding["code"] == "ARC999":
            yield f"a rule crashed: {finding['message']:.300}"
