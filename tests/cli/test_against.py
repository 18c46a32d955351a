"""``--against``: what a change of a model or of a plan brings and mends."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from archlint.core.blueprint import ModelInfo
from archlint.core.finding import Finding, PlanLine, Severity
from archlint.core.report import Report
from archlint.engine import Options
from tests.checkouts import ROUTED
from tests.repository import commit, git

from .conftest import Call, Engine

CODE = "modeling_routed.py"
TUPLE, TENSOR = "return scores.softmax(-1), scores", "return scores.softmax(-1)"


@pytest.fixture
def routed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose model breaks under LoRA; the working tree mends it."""
    folder = tmp_path / "routed"
    shutil.copytree(ROUTED, folder)
    git(folder, "init", "-q", "-b", "main")
    commit(folder)
    code = (folder / CODE).read_text(encoding="utf-8")
    mended = code.replace(TUPLE, TENSOR).replace("weights, _ = self", "weights = self")
    (folder / CODE).write_text(mended, encoding="utf-8")
    monkeypatch.chdir(folder)
    return folder


def test_a_change_of_code_is_held_against_the_code_before(call: Call, routed: Path) -> None:
    arguments = (".", "--trust-remote-code", "--select", "ARC303", "--trainer", "none", "--offline")
    done = call(*arguments, "--against", "HEAD", "--format", "json")
    assert done.exit_code == 0, done.output
    (comparison,) = json.loads(done.stdout)["comparisons"]
    assert [finding["code"] for finding in comparison["mended"]] == ["ARC303"]
    location = comparison["mended"][0]["location"]
    assert location == {"file": str(routed / CODE), "line": 10}, "of today's file, not of what was taken from git"
    assert comparison["recipe"]["after"]["lora"]["target_modules"][-1] == "router"

    commit(routed)
    git(routed, "checkout", "-q", "HEAD~1", "--", CODE)
    done = call(*arguments, "--against", "HEAD")
    assert done.exit_code == 1
    assert "ARC303 tuple-output" in done.stdout
    assert "exclude_modules=" in done.stdout, "the fix is there"
    assert done.stdout.endswith("1 new · exit code 1\n")


class Planned(Engine):
    """Finds a fault in plans that name ``router``, at the line that does."""

    def check(self, source: str, options: Options) -> Report:
        self.calls.append((source, options))
        file = options.plan_file
        found = []
        if file is not None and "router" in file.text:
            line = PlanLine(str(file.path), 3, "lora_target_modules")
            found.append(Finding("ARC304", "gate-targeted", Severity.ERROR, "the plan adapts it", "", plan_line=line))
        return Report(source, model=ModelInfo("m", "hub", "Net", "net", 10, 3), findings=tuple(found))


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch, engine: Engine) -> Planned:
    made = Planned()
    monkeypatch.setattr("archlint.engine.check", made.check)
    return made


PLAN = "base_model: some/model\nadapter: lora\nlora_target_modules: [{}]\n"


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    git(tmp_path, "init", "-q", "-b", "main")
    file = tmp_path / "train.yml"
    file.write_text(PLAN.format("q_proj"), encoding="utf-8")
    commit(tmp_path)
    monkeypatch.chdir(tmp_path)
    return file


def test_a_change_of_a_plan_for_a_model_of_the_hub(call: Call, planned: Planned, plan: Path) -> None:
    plan.write_text(PLAN.format("q_proj, router"), encoding="utf-8")
    done = call("--adapter-config", "train.yml", "--against", "HEAD", "--format", "concise")
    assert (done.exit_code, planned.sources) == (1, ["some/model", "some/model"])
    assert "some/model: new error ARC304 gate-targeted: the plan adapts it (train.yml:3)\n" in done.stdout
    commit(plan.parent)
    plan.write_text(PLAN.format("q_proj"), encoding="utf-8")
    done = call("--adapter-config", "train.yml", "--against", "HEAD", "--format", "concise")
    assert done.exit_code == 0
    assert "some/model: mended error ARC304 gate-targeted: the plan adapts it (train.yml:3)\n" in done.stdout


def test_what_did_not_change_is_checked_once(call: Call, planned: Planned, plan: Path) -> None:
    done = call("--adapter-config", "train.yml", "--against", "HEAD", "--format", "concise")
    assert (done.exit_code, done.stdout, planned.sources) == (0, "", ["some/model"])


def test_what_is_new_has_nothing_to_be_held_against(call: Call, planned: Planned, plan: Path) -> None:
    (plan.parent / "other.yml").write_text(PLAN.format("router"), encoding="utf-8")
    done = call("--adapter-config", "other.yml", "--against", "HEAD", "--format", "concise")
    assert (done.exit_code, planned.sources) == (1, ["some/model"])
    assert "some/model: checked for the first time\n" in done.stdout


def test_a_plan_that_could_not_be_read_before_was_not_checked(call: Call, planned: Planned, plan: Path) -> None:
    plan.write_text("base_model: [", encoding="utf-8")
    commit(plan.parent)
    plan.write_text(PLAN.format("router"), encoding="utf-8")
    done = call("--adapter-config", "train.yml", "--against", "HEAD", "--format", "concise")
    assert done.exit_code == 1
    assert "some/model: checked the plan\n" in done.stdout
    assert str(plan) not in done.stdout


@pytest.mark.parametrize("style", ["sarif", "gitlab", "junit", "github"])
def test_formats_that_collect_findings_hold_what_is_new(call: Call, planned: Planned, plan: Path, style: str) -> None:
    plan.write_text(PLAN.format("router"), encoding="utf-8")
    commit(plan.parent)
    plan.write_text(PLAN.format("router, gate"), encoding="utf-8")
    assert "ARC304" in call("--adapter-config", "train.yml", "--format", style, "--select", "ARC304").stdout
    done = call("--adapter-config", "train.yml", "--format", style, "--against", "HEAD", "--select", "ARC304")
    assert done.exit_code == 0
    if style == "sarif":
        assert json.loads(done.stdout)["runs"][0]["results"] == []
    else:
        assert "the plan adapts it" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--against", "nowhere"), "has no revision 'nowhere'"),
        (("--against", "HEAD", "--fix"), "--against says what is new since a revision, and takes no --fix."),
        (("--against", "HEAD", "--write-baseline", "b.json"), "takes no --write-baseline."),
    ],
)
def test_wrong_usage(call: Call, planned: Planned, plan: Path, arguments: tuple[str, ...], said: str) -> None:
    done = call("--adapter-config", "train.yml", *arguments)
    assert (done.exit_code, planned.sources) == (2, [])
    assert said in done.stderr


def test_without_git_there_is_nothing_to_hold_against(
    call: Call, planned: Planned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    done = call("some/model", "--against", "HEAD")
    assert (done.exit_code, planned.sources) == (2, [])
    assert "--against needs git" in done.stderr
