"""Files below the working directory are named from there for people, and in full for programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from archlint.core.blueprint import ModelInfo
from archlint.core.finding import Finding, Location, Severity
from archlint.core.report import Report, Unchecked
from archlint.core.trial import Crash, Plan, Trial
from archlint.engine import Options

from .conftest import Call, Engine


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: Engine) -> Path:
    """A report that names a file of the working directory wherever it can."""
    monkeypatch.chdir(tmp_path)
    file = Path.cwd() / "net.py"

    def check(source: str, options: Options) -> Report:
        finding = Finding(
            "ARC303", "a-name", Severity.ERROR, "it is so", "", location=Location(str(file), 7), proof=(f"see {file}",)
        )
        crash = Crash("ValueError", "no", str(file), 9)
        return Report(
            source,
            model=ModelInfo("m", "local", "Net", "net", 10, 3),
            findings=(finding,),
            stock=(Trial(Plan("all-linear"), adapted=("a",), forward="crashed", crash=crash),),
            unchecked=(Unchecked("it", f"{file} is odd"),),
        )

    monkeypatch.setattr("archlint.engine.check", check)
    return file


@pytest.mark.parametrize("style", ["full", "concise", "markdown"])
def test_people_read_where_a_file_is_from_here(call: Call, own: Path, style: str) -> None:
    text = call("net", "--format", style).stdout
    assert "net.py" in text
    assert str(own.parent) not in text


def test_programs_are_told_in_full(call: Call, own: Path) -> None:
    (report,) = json.loads(call("net", "--format", "json").stdout)["reports"]
    assert report["findings"][0]["location"]["file"] == str(own)
    assert str(own) in report["stock"][0]["trial"]["crash"]
