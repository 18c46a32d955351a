"""The action for GitHub: its steps are executed as the runner would, all but the one that fetches Python."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from .checkouts import ROOT, ROUTED, copied, environment

ACTION: dict[str, Any] = YAML(typ="safe").load(ROOT / "action.yml")
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")


def expressions(value: object) -> Iterator[str]:
    """All that stands in ``${{ }}`` anywhere in ``value``."""
    if isinstance(value, str):
        yield from EXPRESSION.findall(value)
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from expressions(part)


@dataclass
class Runner:
    """What GitHub's runner does with a composite action, as far as this one asks for it."""

    workspace: Path
    temporary: Path
    action: Path
    outputs: dict[str, dict[str, str]] = field(
        default_factory=lambda: {"python": {"python-path": sys.executable}},
    )
    summary: str = ""

    def run(self, step: str, **inputs: str) -> subprocess.CompletedProcess[str]:
        """Execute a step; names of inputs have ``_`` for ``-``."""
        known = {name: spec.get("default", "") for name, spec in ACTION["inputs"].items()}
        given = {name.replace("_", "-"): value for name, value in inputs.items()}
        assert given.keys() <= known.keys()
        (found,) = (part for part in STEPS if part["id"] == step)
        variables = {name: self.evaluated(text, known | given) for name, text in found["env"].items()}
        files = {name: self.temporary / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        for file in files.values():
            file.write_text("")
        (script := self.temporary / "step.sh").write_text(found["run"])
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)],
            cwd=self.workspace,
            env={
                **environment(),
                **variables,
                **{k: str(v) for k, v in files.items()},
                "RUNNER_TEMP": str(self.temporary),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        lines = files["GITHUB_OUTPUT"].read_text().splitlines()
        self.outputs[step] = dict(line.split("=", 1) for line in lines)
        self.summary = files["GITHUB_STEP_SUMMARY"].read_text(encoding="utf-8")
        return done

    def evaluated(self, text: str, inputs: Mapping[str, str]) -> str:
        def look_up(match: re.Match[str]) -> str:
            context, *path = match[1].split(".")
            if context == "inputs":
                return inputs[path[0]]
            if context == "github":
                assert path == ["action_path"]
                return str(self.action)
            assert (context, path[1]) == ("steps", "outputs")
            return self.outputs[path[0]][path[2]]

        return EXPRESSION.sub(look_up, text)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """The action once archlint is installed."""
    folder = tmp_path_factory.mktemp("action")
    for name in ("workspace", "temporary files", "action"):
        (folder / name).mkdir()
    runner = Runner(folder / "workspace", folder / "temporary files", copied(folder / "action"))
    done = runner.run("install")
    assert done.returncode == 0, done.stderr
    return runner


@pytest.fixture
def runner(installed: Runner, tmp_path: Path) -> Runner:
    """The action in an empty workspace of its own."""
    return dataclasses.replace(installed, workspace=tmp_path, outputs=dict(installed.outputs))


def test_a_broken_model_fails_with_annotations_a_summary_and_sarif(runner: Runner) -> None:
    shutil.copytree(ROUTED, runner.workspace, dirs_exist_ok=True)
    done = runner.run("check", trust_remote_code="true", sarif_output="archlint.sarif")
    assert done.returncode == 1, done.stderr
    annotations = done.stdout.splitlines()
    assert annotations[0].startswith("::error file=modeling_routed.py,line=10,title=ARC303 tuple-output::.: an adapter")
    assert "%0Arecipe: LoraConfig(target_modules=" in annotations[0]
    assert all(line.startswith("::notice ") for line in annotations[1:])
    assert runner.summary.startswith("### archlint: 1 error")
    assert "`ARC303 tuple-output`" in runner.summary
    (log,) = json.loads((runner.workspace / "archlint.sarif").read_text())["runs"]
    first = log["results"][0]
    assert (first["ruleId"], first["level"]) == ("ARC303", "error")
    place = {"artifactLocation": {"uri": "modeling_routed.py", "uriBaseId": "%SRCROOT%"}, "region": {"startLine": 10}}
    assert first["locations"][0]["physicalLocation"] == place
    assert runner.outputs["check"] == {
        "exit-code": "1",
        "errors": "1",
        "warnings": "0",
        "infos": str(len(annotations) - 1),
        "unchecked": "0",
    }
    assert set(ACTION["outputs"]) == {*runner.outputs["check"], "mended"}, "which is there with against alone"


def test_own_code_is_not_run_unasked(runner: Runner) -> None:
    shutil.copytree(ROUTED, runner.workspace, dirs_exist_ok=True)
    (runner.workspace / "modeling_routed.py").write_text("open('executed', 'w')\n")
    done = runner.run("check")
    assert done.returncode == 3
    assert done.stdout.startswith("::warning file=config.json,line=2,title=ARC901 custom-code::")
    assert "--trust-remote-code" in done.stdout
    assert runner.outputs["check"]["unchecked"] == "1"
    assert not (runner.workspace / "executed").exists()


def test_nothing_of_the_inputs_is_executed(runner: Runner) -> None:
    (runner.workspace / "transformers.py").write_text("open('executed', 'w')\n")
    (runner.workspace / "archlint.py").write_text("open('executed', 'w')\n")
    evil = "'; touch executed; '\n$(touch executed)\n`touch executed`\n\"; touch executed #\n--help\n"
    done = runner.run("check", sources=evil, args="--ignore '$(touch executed)' --select `touch` ; touch executed")
    assert done.returncode == 2
    assert runner.outputs["check"] == {"exit-code": "2"}
    done = runner.run("check", sources=evil, format="concise")
    assert done.returncode == 3
    assert [line.partition(": ")[0] for line in done.stdout.splitlines()] == [
        line.strip() for line in evil.splitlines()
    ]
    assert runner.outputs["check"]["unchecked"] == "5"
    assert sorted(path.name for path in runner.workspace.iterdir()) == ["archlint.py", "transformers.py"]


@pytest.fixture
def spied(runner: Runner, tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """The action with an archlint that prints its arguments, and makes no report."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "python").symlink_to(sys.executable)
    (spy := folder / "archlint").write_text(
        f"#!{sys.executable}\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\nsys.exit(3)\n"
    )
    spy.chmod(0o755)
    runner.outputs["install"] = {"python": str(folder / "python")}
    return runner


@pytest.mark.parametrize(
    ("inputs", "options", "sources"),
    [
        ({}, [], ["."]),
        ({"sources": " a/b \n\n my model\n"}, [], ["a/b", "my model"]),
        ({"sources": "-h"}, [], ["-h"]),
        ({"adapter_config": "my runs/a.yml"}, ["--adapter-config=my runs/a.yml"], []),
        ({"adapter_config": "a.yml", "sources": "b"}, ["--adapter-config=a.yml"], ["b"]),
        (
            {"baseline": "known.json", "against": "origin/main"},
            ["--baseline=known.json", "--against=origin/main"],
            ["."],
        ),
        ({"args": "--trainer trl-dpo --class 'A b'"}, ["--trainer", "trl-dpo", "--class", "A b"], ["."]),
        ({"fail_on": "warning"}, ["--fail-on=warning"], ["."]),
        ({"sarif_output": "a=b.sarif"}, ["--also=sarif=a=b.sarif"], ["."]),
        ({"trust_remote_code": "true"}, ["--trust-remote-code"], ["."]),
    ],
)
def test_inputs_are_options(spied: Runner, inputs: dict[str, str], options: list[str], sources: list[str]) -> None:
    done = spied.run("check", **inputs)
    assert done.returncode == 3
    report = f"--also=json={spied.temporary}/archlint-report.json"
    command, *before, after = json.loads(done.stdout)[: -len(sources) or None]
    assert (command, after) == ("check", "--")
    assert sorted(before) == sorted([*options, report, "--format=github"]), "what is not given is left to the settings"
    assert json.loads(done.stdout)[len(before) + 2 :] == sources
    assert spied.outputs["check"] == {"exit-code": "3"}


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"trust_remote_code": "yes\n::set-env::"}, "trust-remote-code is true or false, not 'yes\\n::set-env::'"),
        ({"args": "--class 'A"}, "args: No closing quotation"),
    ],
)
def test_an_input_that_means_nothing_is_wrong_usage(spied: Runner, inputs: dict[str, str], said: str) -> None:
    done = spied.run("check", **inputs)
    assert (done.returncode, done.stdout) == (2, f"::error title=archlint::{said}\n")


def test_the_metadata_is_that_of_a_composite_action() -> None:
    assert {"name", "description", "inputs", "outputs", "runs"} <= ACTION.keys()
    assert ACTION["runs"]["using"] == "composite"
    for spec in ACTION["inputs"].values():
        assert isinstance(spec["default"], str), "an input is a string"
        assert spec["description"]
    for step in STEPS:
        assert ("uses" in step) != ("run" in step)
        if "run" in step:
            assert step["shell"] == "bash"
            assert not EXPRESSION.search(step["run"]), "an input must not be put into a script"
        else:
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"]), "a tag can be moved"


def test_what_expressions_name_is_there_and_every_input_is_used() -> None:
    used = set(expressions(STEPS))
    steps = [step["id"] for step in STEPS]
    assert {name.removeprefix("inputs.") for name in used if name.startswith("inputs.")} == set(ACTION["inputs"])
    assert used - {f"inputs.{name}" for name in ACTION["inputs"]} == {
        "github.action_path",
        "steps.python.outputs.python-path",
        "steps.install.outputs.python",
    }
    for name, output in ACTION["outputs"].items():
        assert output["value"] == f"${{{{ steps.check.outputs.{name} }}}}"
    assert {"python", "install", "check"} == set(steps)
    for step in STEPS:
        assert all(steps.index(name.split(".")[1]) < steps.index(step["id"]) for name in used_by(step))


def used_by(step: dict[str, Any]) -> Iterator[str]:
    """The outputs of steps that ``step`` takes."""
    return (name for name in expressions(step) if name.startswith("steps."))


def test_the_page_on_merge_checks_has_every_input_and_output() -> None:
    page = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    section = page.partition("## GitHub Actions\n")[2].partition("\n## ")[0]
    rows = [row.split("|")[1] for row in section.splitlines() if row.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`([\w-]+)`", row)} == set(ACTION["inputs"])
    outputs = section.partition("Its outputs are ")[2].partition(".")[0]
    assert set(re.findall(r"`([\w-]+)`", outputs)) == set(ACTION["outputs"])
    (block,) = re.findall(r"^```yaml\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    (called,) = (step["with"] for step in YAML(typ="safe").load(block)["steps"] if "archlint@" in step["uses"])
    assert called.keys() <= ACTION["inputs"].keys()
