"""Formats for programs that show findings beside files, or in dashboards: a plan's file, exit codes, what was asked."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from junitparser import JUnitXml

from archlint import engine
from archlint.cli.rendering import FORMATS
from archlint.core.catalog import Catalog
from archlint.core.finding import Finding, Remedy, Severity
from archlint.core.report import Report
from archlint.core.trial import Plan, Trial
from archlint.fixing import Fixed
from archlint.plans import located, read_plan_file

from .conftest import Call, Engine

if TYPE_CHECKING:
    from archlint.engine import Options

TRAIN = """\
base_model: some/model
adapter: lora
lora_r: 16

lora_target_modules:  # what the paper says
  - q_proj
  - gate
lora_dropout: 0.05
"""
STYLES = ("sarif", "github", "gitlab", "junit", "markdown", "html")
MENDED = ["q_proj", "v_proj"]


@pytest.fixture
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A trainer's file in the working directory, and an engine that has something to say of it."""

    def check(source: str, options: Options) -> Report:
        assert options.plan_file is not None
        lora = dict(options.plan_file.reading.arguments) | dict(options.plan.lora if options.plan else {})
        remedy = Remedy("target_modules", "leave it out", MENDED, proven=True, plan={**lora, "target_modules": MENDED})
        about = Finding(
            "ARC304", "a-name", Severity.ERROR, "gate is a router", "", remedies=(remedy,), settings=("target_modules",)
        )
        info = Finding("ARC201", "custom-norm", Severity.INFO, "a norm of its own", "")
        trial = Trial(Plan("user", lora))
        return Report(source, findings=(*located([about], options.plan_file, trial), info), plan=trial)

    monkeypatch.setattr("archlint.engine.check", check)
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "my runs" / "train.yml"
    file.parent.mkdir()
    file.write_text(TRAIN)
    return file.relative_to(tmp_path)


def results(text: str) -> Iterator[dict[str, Any]]:
    (run,) = json.loads(text)["runs"]
    yield from run["results"]


def test_annotations_stand_at_the_line_of_the_plan(call: Call, train: Path) -> None:
    done = call("--adapter-config", str(train), "--format", "github")
    assert done.exit_code == 1
    about, info = done.stdout.splitlines()
    command, _, body = about[2:].partition("::")
    assert command == "error file=my runs/train.yml,line=5,title=ARC304 a-name"
    said, fix, change = body.split("%0A")
    assert (said, fix) == ("some/model: gate is a router", "fix (exact, proven): leave it out")
    assert change.startswith("  my runs/train.yml:5  lora_target_modules: ")
    assert info == "::notice file=my runs/train.yml,line=1,title=ARC201 custom-norm::some/model: a norm of its own"


@pytest.mark.parametrize("absolute", [False, True])
def test_a_sarif_fix_makes_what_the_plan_file_would_be(call: Call, train: Path, absolute: bool) -> None:
    done = call("--adapter-config", str(train.resolve() if absolute else train), "--format", "sarif")
    assert done.exit_code == 1
    about, info = results(done.stdout)
    artifact = {"uri": "my%20runs/train.yml", "uriBaseId": "%SRCROOT%"}
    assert about["locations"][0]["physicalLocation"] == {"artifactLocation": artifact, "region": {"startLine": 5}}
    assert info["locations"][0]["physicalLocation"] == {"artifactLocation": artifact, "region": {"startLine": 1}}
    ((change,),) = (fix["artifactChanges"] for fix in about["fixes"])
    assert change["artifactLocation"] == artifact
    (replacement,) = change["replacements"]
    region = replacement["deletedRegion"]
    assert (region["startLine"], region["startColumn"], region["endLine"]) == (7, 1, 7)
    lines = TRAIN.splitlines()
    assert region["endColumn"] == len(lines[6]) + 1
    lines[6] = replacement["insertedContent"]["text"]
    file = read_plan_file(train)
    old = file.reading.arguments
    assert "\n".join(lines) + "\n" == file.changed(old, {**old, "target_modules": MENDED}).text


def test_what_options_say_is_not_mended_in_the_file(call: Call, train: Path) -> None:
    done = call("--adapter-config", str(train), "--target-modules", "gate", "--format", "sarif")
    about, info = results(done.stdout)
    assert "fixes" not in about
    assert all("physicalLocation" in result["locations"][0] for result in (about, info))


def test_fixes_are_for_the_file_as_it_is_after_fixing(call: Call, train: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fix(source: str, options: Options, *, unsafe: bool) -> Fixed:
        before = options.plan_file
        assert before is not None
        old = before.reading.arguments
        after = before.changed(old, {**old, "r": 8})
        report = engine.check(source, dataclasses.replace(options, plan_file=after))
        return Fixed(before, after, report, ((report.findings[0], Remedy("setting", "a lower rank")),))

    monkeypatch.setattr("archlint.fixing.fix", fix)
    done = call("--adapter-config", str(train), "--fix", "--format", "sarif")
    assert train.read_text() == TRAIN.replace("lora_r: 16", "lora_r: 8")
    about, _ = results(done.stdout)
    ((change,),) = (fix["artifactChanges"] for fix in about["fixes"])
    assert [replacement["deletedRegion"]["startLine"] for replacement in change["replacements"]] == [7]


def test_sarif_describes_all_rules_and_says_what_was_not_checked(call: Call, engine: Engine) -> None:
    done = call("error", "gone", "--select", "ARC101", "--format", "sarif")
    (run,) = json.loads(done.stdout)["runs"]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == list(Catalog.load().rules)
    assert [result["properties"]["source"] for result in run["results"]] == ["error"]
    (invocation,) = run["invocations"]
    assert not invocation["executionSuccessful"]
    (notification,) = invocation["toolExecutionNotifications"]
    assert notification["message"]["text"] == "gone: the architecture not checked: it is not there"


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(("source", "code"), [("fine", 0), ("error", 1), ("gone", 3), ("unrun warning", 0)])
def test_exit_codes_and_nothing_else_said(call: Call, engine: Engine, source: str, code: int, style: str) -> None:
    done = call(source, "--format", style)
    assert (done.exit_code, done.stderr) == (code, "")
    assert bool(done.stdout) == (style != "github" or source != "fine")


@pytest.mark.parametrize("style", STYLES)
def test_into_a_file(call: Call, engine: Engine, style: str, tmp_path: Path) -> None:
    file = tmp_path / "report"
    done = call("error", "--format", style, "--output", str(file))
    assert done.exit_code == 1
    assert done.stdout == ""
    assert file.read_text(encoding="utf-8") == call("error", "--format", style).stdout


def test_every_format_is_in_the_help(call: Call) -> None:
    words = set(call("check", "--help").stdout.replace(",", " ").split())
    assert set(FORMATS) <= words


def places(text: str) -> list[tuple[str, int]]:
    return [(entry["location"]["path"], entry["location"]["lines"]["begin"]) for entry in json.loads(text)]


def test_gitlab_names_lines_of_the_plan_and_else_its_file(call: Call, train: Path) -> None:
    done = call("--adapter-config", str(train), "--format", "gitlab")
    assert done.exit_code == 1
    assert places(done.stdout) == [("my runs/train.yml", 5), ("my runs/train.yml", 1)]


@pytest.mark.parametrize(
    ("source", "file"),
    [
        ("./error", "error/config.json"),
        ("{here}/error", "error/config.json"),
        ("error/my-config.json", "error/my-config.json"),
        ("an-error-adapter", "an-error-adapter/adapter_config.json"),
        ("empty-error", "empty-error/config.json"),
        ("org/error", "config.json"),
        ("error\0", "config.json"),
    ],
)
def test_gitlab_names_the_file_of_a_source_that_is_a_path(
    call: Call, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, file: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("error/config.json", "error/my-config.json", "an-error-adapter/adapter_config.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    (tmp_path / "empty-error").mkdir()
    assert places(call(source.format(here=tmp_path), "--format", "gitlab").stdout) == [(file, 1)]


CONFIG = """{
  "architectures": ["Net"],
  "text_config": {
    "model_type": "text"
  }
}
"""


def spot(text: str, style: str) -> tuple[str, str]:
    """File and line of the one finding in a report."""
    if style == "gitlab":
        (place,) = places(text)
        return place[0], str(place[1])
    if style == "junit":
        (case,) = (case for suite in JUnitXml.fromstring(text) for case in suite if case.result)
        return case._elem.get("file"), case._elem.get("line")
    if style == "github":
        listed = text.splitlines()[0].removeprefix("::error ").partition("::")[0]
        found = dict(pair.split("=") for pair in listed.split(","))
        return found["file"], found["line"]
    (result,) = results(text)
    physical = result["locations"][0]["physicalLocation"]
    assert physical["artifactLocation"]["uriBaseId"] == "%SRCROOT%"
    return physical["artifactLocation"]["uri"], str(physical["region"]["startLine"])


@pytest.mark.parametrize("style", ["sarif", "github", "gitlab", "junit"])
@pytest.mark.parametrize("mark", ["folder", "file", None])
def test_files_are_named_from_the_root_of_the_repository(
    call: Call, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, style: str, mark: str | None
) -> None:
    model = tmp_path / "models" / "error"
    model.mkdir(parents=True)
    (model / "config.json").write_text(CONFIG)
    if mark == "folder":
        (tmp_path / ".git").mkdir()
    elif mark == "file":  # of a worktree or a submodule
        (tmp_path / ".git").write_text("gitdir: elsewhere")
    monkeypatch.chdir(tmp_path / "models")
    done = call("error", "--format", style)
    assert spot(done.stdout, style) == ("models/error/config.json" if mark else "error/config.json", "3")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1, "a": 2}', "\xff"])
def test_a_configuration_that_cannot_be_read_is_a_place_as_well(
    call: Call, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "error.json").write_text(text, encoding="latin-1")
    assert places(call("error.json", "--format", "gitlab").stdout) == [("error.json", 1)]


def test_gitlab_names_the_file_in_a_subfolder(
    call: Call, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "error" / "text").mkdir(parents=True)
    done = call("error", "--subfolder", "text", "--format", "gitlab")
    assert places(done.stdout) == [("error/text/config.json", 1)]


@pytest.mark.parametrize(("fail_on", "failures"), [("error", 1), ("warning", 2), ("info", 3), ("never", 0)])
def test_junit_fails_what_the_command_fails_on(call: Call, engine: Engine, fail_on: str, failures: int) -> None:
    done = call("info", "error", "warning", "--fail-on", fail_on, "--format", "junit")
    assert done.exit_code == (failures > 0)
    read = JUnitXml.fromstring(done.stdout)
    assert [suite.name for suite in read] == ["info", "error", "warning"]
    assert sum(suite.failures for suite in read) == failures


def test_junit_has_a_test_for_each_rule_that_ran(call: Call, engine: Engine) -> None:
    (suite,) = JUnitXml.fromstring(call("fine", "--select", "ARC101,ARC201", "--format", "junit").stdout)
    assert [case.name for case in suite] == [
        "everything was checked",
        "ARC101 wrapped-linear",
        "ARC201 custom-norm",
    ]


def test_several_sources_are_one_document(call: Call, engine: Engine) -> None:
    sources = ("error", "fine", "gone")
    done = {style: call(*sources, "--format", style).stdout for style in ("gitlab", "junit", "markdown")}
    assert [entry["check_name"] for entry in json.loads(done["gitlab"])] == ["ARC101", "not-checked"]
    assert [(suite.failures, suite.errors) for suite in JUnitXml.fromstring(done["junit"])] == [(1, 0), (0, 0), (0, 1)]
    lines = done["markdown"].splitlines()
    assert lines[0] == "### archlint: 1 error, 1 not checked"
    assert [line for line in lines if line.startswith("#### ")] == [
        "#### `error` → `org/error`",
        "#### `fine` → `org/fine`",
        "#### `gone`",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("or take the recipe below", "take archlint's recipe"),
        ("name the targets: the recipe below", "name the targets"),
    ],
)
def test_a_notice_speaks_of_no_recipe_below(
    call: Call, train: Path, monkeypatch: pytest.MonkeyPatch, text: str, told: str
) -> None:
    def fix(source: str, options: Options, *, unsafe: bool) -> Fixed:
        before = options.plan_file
        assert before is not None
        report = engine.check(source, options)
        return Fixed(before, before, report, ((report.findings[0], Remedy("setting", text, by_recipe=True)),))

    monkeypatch.setattr("archlint.fixing.fix", fix)
    done = call("--adapter-config", str(train), "--fix", "--format", "concise")
    assert f"ARC304 a-name fixed: {told}\n" in done.stderr


@pytest.mark.parametrize(
    ("name", "start"),
    [("x.svg", "<svg "), ("x.SVG", "<svg "), ("x.html", "<!DOCTYPE html>"), ("x.txt", "archlint error"), ("x", "arch")],
)
def test_a_full_report_is_what_the_file_s_ending_says(
    call: Call, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, start: str
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")  # which is about the terminal
    monkeypatch.setenv("TERM", "dumb")
    file = tmp_path / name
    assert call("error", "fine", "--output", str(file)).exit_code == 1
    text = file.read_text(encoding="utf-8")
    assert text.startswith(start)
    assert "ARC101" in text
    if start.startswith("<"):
        assert "archlint error fine" in text.replace("&#160;", " ")
        assert "#cc555a" in text


def test_other_formats_are_the_same_whatever_the_ending(call: Call, engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "x.svg"
    call("error", "--format", "json", "--output", str(file))
    assert json.loads(file.read_text())["reports"]
