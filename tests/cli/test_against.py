"""``--against``: what a change of a model or of a plan brings and mends."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from archlint.core.blueprint import ModelInfo
from archlint.core.finding import Finding, PlanLine, Severity
from archlint.core.report import Report, Unchecked
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
        (("--against", "HEAD", "--baseline", "train.yml"), "takes no --baseline."),
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
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    assert "not a git repository" in call(".", "--against", "HEAD").stderr, "git's own reason is told"


def test_a_name_that_no_path_can_have_is_in_no_repository(call: Call, planned: Planned, plan: Path) -> None:
    done = call("a" * 300, "--against", "HEAD")
    assert (done.exit_code, planned.sources) == (2, [])
    assert "--against needs git" in done.stderr


def test_a_baseline_of_the_settings_has_no_say(call: Call, planned: Planned, plan: Path) -> None:
    (plan.parent / "known.json").write_text('{"schema": "archlint/baseline/v1", "findings": []}', encoding="utf-8")
    (plan.parent / "archlint.toml").write_text('baseline = "known.json"\n', encoding="utf-8")
    plan.write_text(PLAN.format("router"), encoding="utf-8")
    done = call("--adapter-config", "train.yml", "--against", "HEAD", "--format", "concise")
    assert done.exit_code == 1
    assert "baseline" not in done.stderr


class Reading(Engine):
    """Cannot check a source with an empty file; finds a fault in one with a file, or on a base, that says ``bad``."""

    def check(self, source: str, options: Options) -> Report:
        self.calls.append((source, options))
        file = Path(source)
        folder = file if file.is_dir() else file.parent
        base = folder.parent / "base"
        texts = [path.read_text(encoding="utf-8") for path in (*folder.iterdir(), *base.glob("*.json"))]
        found = [Finding("ARC101", "a-name", Severity.ERROR, "it is bad", "")] if "bad" in texts else []
        lacks = [Unchecked("model", f"{folder / 'config.json'} is empty")] if "" in texts else []
        return Report(source, findings=tuple(found), unchecked=tuple(lacks))


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch, engine: Engine, tmp_path: Path) -> Reading:
    made = Reading()
    monkeypatch.setattr("archlint.engine.check", made.check)
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}", encoding="utf-8")
    (tmp_path / "model" / "modeling.py").write_text("good", encoding="utf-8")
    commit(tmp_path)
    monkeypatch.chdir(tmp_path)
    return made


def test_code_beside_a_file_that_is_named_belongs_to_it(call: Call, reading: Reading) -> None:
    Path("model/modeling.py").write_text("bad", encoding="utf-8")
    done = call("model/config.json", "--against", "HEAD", "--format", "concise")
    assert (done.exit_code, done.stdout) == (1, "model/config.json: new error ARC101 a-name: it is bad\n")


def test_the_base_model_beside_an_adapter_belongs_to_it(call: Call, reading: Reading) -> None:
    Path("base").mkdir()
    Path("base/config.json").write_text("good", encoding="utf-8")
    Path("adapter").mkdir()
    settings = {"peft_type": "LORA", "base_model_name_or_path": "../base", "target_modules": ["q_proj"]}
    Path("adapter/adapter_config.json").write_text(json.dumps(settings), encoding="utf-8")
    commit(Path())
    Path("base/config.json").write_text("bad", encoding="utf-8")
    done = call("adapter", "--against", "HEAD", "--format", "concise")
    assert (done.exit_code, done.stdout) == (1, "adapter: new error ARC101 a-name: it is bad\n")


@pytest.mark.parametrize("folder", [".", "model"])
def test_what_still_cannot_be_checked_is_told_as_that(
    call: Call, reading: Reading, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    Path("model/config.json").write_text("", encoding="utf-8")
    commit(Path())
    Path("model/other.py").write_text("good", encoding="utf-8")
    if folder == ".":
        monkeypatch.chdir("model")
    done = call(folder, "--against", "HEAD", "--format", "concise")
    assert done.exit_code == 3
    assert done.stdout == f"{folder}: still unchecked model: {Path(folder) / 'config.json'} is empty\n"


def test_a_source_that_is_named_twice(call: Call, reading: Reading) -> None:
    Path("model/modeling.py").write_text("bad", encoding="utf-8")
    commit(Path())
    Path("model/other.py").write_text("good", encoding="utf-8")
    done = call("model", "model", "--against", "HEAD", "--format", "concise")
    assert (done.exit_code, done.stdout) == (0, "")
