"""archlint's own code by content: what decides about survey and trials, and what works on them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from archlint.own_code import AFTER, all_code, survey_code
from tests.checkouts import copied
from tests.test_layers import KNOWS


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return copied(tmp_path / "checkout")


def digests(folder: Path) -> tuple[str, str]:
    """Those of the archlint in ``folder``: of the code up to the trials, and of all."""
    code = "from archlint.own_code import *; print(survey_code(), all_code())"
    env = {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-S", "-c", code]
    survey, everything = subprocess.check_output(command, cwd=folder, env=env, text=True).split()
    return survey, everything


def touched(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n")


@pytest.mark.parametrize(
    "file",
    [
        *("archlint/survey/kinds.py", "archlint/core/blueprint.py", "archlint/engine.py", "archlint/__init__.py"),
        *("archlint/training/trl.json", "archlint/plans/dialects/keys/trl.json", "archlint/deadline.py"),
    ],
)
def test_code_that_survey_and_trials_depend_on(checkout: Path, file: str) -> None:
    survey, everything = digests(checkout)
    touched(checkout / file)
    after = digests(checkout)
    assert after[0] != survey
    assert after[1] != everything


@pytest.mark.parametrize(
    "file",
    [
        *("archlint/cli/app.py", "archlint/report/full.py", "archlint/report/schema.json", "archlint/matrix/spec.py"),
        *("archlint/suppressions/effect.py", "rules/__init__.py", "rules/norms/custom_norm.py"),
    ],
)
def test_code_that_works_on_them(checkout: Path, file: str) -> None:
    survey, everything = digests(checkout)
    touched(checkout / file)
    after = digests(checkout)
    assert after[0] == survey
    assert after[1] != everything


def test_a_folder_that_is_new_counts(checkout: Path) -> None:
    survey, _ = digests(checkout)
    (checkout / "archlint/guessing").mkdir()
    (checkout / "archlint/guessing/__init__.py").touch()
    assert digests(checkout)[0] != survey


def test_a_file_that_is_renamed_counts(checkout: Path) -> None:
    survey, _ = digests(checkout)
    (checkout / "archlint/survey/kinds.py").rename(checkout / "archlint/survey/kind.py")
    assert digests(checkout)[0] != survey


def test_times_texts_and_snapshots_do_not_count(checkout: Path) -> None:
    before = digests(checkout)
    os.utime(checkout / "archlint/survey/kinds.py", (0, 0))
    touched(checkout / "README.md")
    touched(next((checkout / "fixtures/snapshots").rglob("*.json")))
    (checkout / "archlint/py.typed").write_text("more")
    assert digests(checkout) == before


def test_an_installation_has_the_digests_of_its_checkout(checkout: Path, tmp_path: Path) -> None:
    installed = tmp_path / "site-packages" / "archlint"
    shutil.copytree(checkout / "archlint", installed)
    for name in ("rules", "fixtures"):
        shutil.copytree(checkout / name, installed / name)
    assert digests(installed.parent) == digests(checkout)


def test_a_process_knows_its_own() -> None:
    assert survey_code() == survey_code() != all_code() == all_code()


def test_nothing_that_survey_and_trials_need_is_left_out() -> None:
    due = [
        "skeleton",
        "survey",
        "running",
        "training",
        "proving",
        "surgery",
        "solving",
        "sources",
        "plans",
        "published",
    ]
    needed: set[str] = set()
    while due:
        needed.add(layer := due.pop())
        due += set(KNOWS[layer].split()) - needed
    assert needed.isdisjoint(AFTER)
