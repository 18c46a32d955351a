"""``archlint matrix``, with an archlint that answers at once in environments that are there already."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from click.testing import Result
from markdown_it import MarkdownIt

from archlint.core.blueprint import ModelInfo
from archlint.core.finding import Finding, FoldedSites, Severity
from archlint.core.report import Environment as Versions
from archlint.core.report import Report, Run
from archlint.matrix import Stack, json_document
from archlint.matrix.environments import Environment
from archlint.matrix.installing import InstallError
from archlint.report import contract, json_lines

Call = Callable[..., Result]

STUB = """
import json, pathlib, sys
folder, label, *arguments = sys.argv[1:]
with open(f"{folder}/calls", "a") as calls:
    calls.write(json.dumps([label, *arguments]) + "\\n")
answer = pathlib.Path(folder, label)
if answer.suffix == ".py":
    exec(answer.read_text())
output = arguments[arguments.index("--output") + 1]
pathlib.Path(output).write_bytes(answer.read_bytes())
"""


RULE = """
from archlint.core.finding import Severity
from archlint.core.rule import Rule

class Mine(Rule):
    \"\"\"Mine.\"\"\"

    code, name, severity, why = "MINE1", "my-rule", Severity.INFO, "It is mine."

    def check(self, blueprint):
        return ()
"""
PLAN = {"peft_type": "LORA", "base_model_name_or_path": "m", "target_modules": ["q_proj"]}


class Stacks:
    """What archlint answers with each stack, and what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._answers: dict[str, str] = {}

    def answer(self, label: str, *severities: str, source: str = "m", versions: str = "") -> None:
        """Findings of ``source``; the stack is as its label says."""
        sites = (FoldedSites("layers.{0..1}.q_proj", 2, "Wrapper", "wrapper", "text"),)
        found = tuple(Finding("ARC101", "wrapped", Severity(one), "it is so", "", sites=sites) for one in severities)
        report = Report(source, ModelInfo("org/m", "hub", "Net", "net", 10, 3), findings=found)
        run = Run(Versions("3.11.7", peft=versions or label.partition("==")[2]), (report,))
        (self.folder / label).write_text(json_lines.render(run))

    def crash(self, label: str, code: str) -> None:
        (self.folder / f"{label}.py").write_text(code)
        self._answers[label] = f"{label}.py"

    def environment(self, stack: Stack, *_: object) -> Environment:
        name = self._answers.get(stack.label, stack.label)
        if not (self.folder / name).exists():
            raise InstallError(f"No matching distribution found for {stack.label}")
        command = (sys.executable, str(self.folder / "stub.py"), str(self.folder), name)
        return Environment(command, {name: stack.pinned(name) or "?" for name in stack.packages})

    @property
    def calls(self) -> list[list[str]]:
        """Arguments that archlint got, without where its report goes."""
        lines = (json.loads(line) for line in (self.folder / "calls").read_text().splitlines())
        return [[word for word in line[1:] if not word.endswith("reports.jsonl")] for line in lines]


@pytest.fixture
def stacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stacks:
    made = Stacks(tmp_path / "stacks")
    made.folder.mkdir()
    (made.folder / "stub.py").write_text(STUB)
    monkeypatch.setattr("archlint.matrix.running.environment", made.environment)
    monkeypatch.setattr("archlint.matrix.running.here", lambda: made.environment(Stack()))
    monkeypatch.setattr("archlint.matrix.running.installer", lambda: None)
    return made


@pytest.fixture
def two(stacks: Stacks) -> Stacks:
    """A source that breaks with the older of two versions."""
    stacks.answer("peft==0.18.0", "error")
    stacks.answer("peft==0.19.0")
    return stacks


TWO = ("m", "--with", "peft==0.18.0", "--with", "peft==0.19.0")


def test_what_differs_is_told(call: Call, two: Stacks) -> None:
    result = call("matrix", *TWO)
    assert result.exit_code == 1
    assert "works with peft 0.19.0, breaks with 0.18.0: ARC101" in result.stdout
    assert "error      ARC101 wrapped with peft 0.18.0, not with 0.19.0" in result.stdout
    lines = result.stdout.splitlines()
    head = next(number for number, line in enumerate(lines) if line.split() == ["peft==0.18.0", "peft==0.19.0"])
    assert lines[head + 1].split() == ["m", "1", "error", "clean"]
    assert lines[head].index("peft==0.19.0") == lines[head + 1].index("clean")
    assert lines[-1] == "1 source with 2 stacks · exit code 1"


def test_a_table_without_room_numbers_the_stacks(call: Call, two: Stacks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    two.answer("peft==0.20.0")
    lines = [line.split() for line in call("matrix", *TWO, "--with", "peft==0.20.0").stdout.splitlines()]
    assert ["stacks", "1", "peft==0.18.0"] in lines
    assert ["1", "2", "3"] in lines


def test_what_check_is_told_is_told_in_each_environment(call: Call, two: Stacks, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(RULE)
    given = [
        *("--scope=vision", "--target-modules=q_proj,v_proj", "--target-modules=k_proj", "--trainer=trl-dpo"),
        *("--trainer-args=gradient_checkpointing=false", "--trainer-args=weight_decay=0.1", "--select=ARC1"),
        *("--offline", "--revision=v1", "--no-prove", "--trust-remote-code", f"--load={tmp_path / 'mine.py'}"),
    ]
    call("matrix", *TWO, *given, "--fail-on", "never", "--", "-odd")
    for words in two.calls:
        assert words[:6] == ["check", "--format", "jsonl", "--output", "--fail-on", "never"]
        assert words[-3:] == ["--", "m", "-odd"]
        assert sorted(words[6:-3]) == sorted(given)


def test_what_is_not_given_is_not_told(call: Call, two: Stacks) -> None:
    call("matrix", *TWO)
    assert [words[6:] for words in two.calls] == [["--", "m"]] * 2


def test_the_installed_stack_needs_no_environment(call: Call, two: Stacks) -> None:
    two.answer("installed", versions="0.21.2")
    result = call("matrix", *TWO, "--with", "installed")
    assert "installed" in result.stdout
    assert len(two.calls) == 3


def test_a_version_that_cannot_be_installed_is_not_checked(call: Call, two: Stacks) -> None:
    two.answer("peft==0.18.0")
    result = call("matrix", *TWO, "--with", "peft==99")
    assert result.exit_code == 3
    assert "3  peft==99: cannot be installed: No matching distribution found for peft==99" in result.stdout
    assert "1 of which could not be checked" in result.stdout


def test_a_version_that_was_to_be_another_is_not_that_of_all(call: Call, stacks: Stacks) -> None:
    stacks.answer("peft==0.18.0")
    lines = call("matrix", "m", "--with", "peft==0.18.0", "--with", "peft==99").stdout.splitlines()
    assert lines[2].split() == ["stacks", "1", "peft==0.18.0"]


def test_an_archlint_that_fails_is_told_by_its_last_words(call: Call, two: Stacks) -> None:
    two.crash("peft==0.17.0", "from json import gone\nx = 1")
    result = call("matrix", *TWO, "--with", "peft==0.17.0")
    assert result.exit_code == 1, "findings win"
    words = " ".join(result.stdout.split())
    assert "archlint does not run: ImportError: cannot import name 'gone' from 'json' peft==0.18.0" in words


def test_an_archlint_that_is_killed_is_told(call: Call, stacks: Stacks) -> None:
    stacks.crash("peft==0.17.0", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    result = call("matrix", "m", "--with", "peft==0.17.0")
    assert result.exit_code == 3
    assert "SIGKILL" in result.stdout


def test_what_fails_is_shown_without_its_control_characters(call: Call, stacks: Stacks) -> None:
    stacks.crash("peft==0.17.0", "raise SystemExit('\\x1b[31m[red]boo[/]')")
    assert r"\x1b[31m[red]boo[/]" in call("matrix", "m", "--with", "peft==0.17.0").stdout


def test_wrong_options_are_told_once(call: Call, two: Stacks) -> None:
    two.crash("peft==0.18.0", "print('error: --scope: no.', file=sys.stderr); sys.exit(2)")
    result = call("matrix", *TWO)
    assert result.exit_code == 2
    assert result.stderr.splitlines()[0] == "error: --scope: no."
    assert len(two.calls) == 1, "the other environments would say the same"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["m"], "Missing option '--with'"),
        (["m", "--with", "peft=0.18"], "'peft=0.18' is no requirement"),
        (["m", "--with", "peft==0.18", "--with", "peft==0.18"], "peft==0.18 is given twice"),
        (["--with", "peft==0.18.0"], "no SOURCE is given"),
        ([*TWO, "--trainer", "nobody"], "nobody"),
        ([*TWO, "--output", "/gone/x"], "the folder /gone does not exist"),
        ([*TWO, "--select", "NOPE1"], "NOPE1"),
        ([*TWO, "--fix"], "--fix"),
        ([*TWO, "--format", "sarif"], "sarif"),
    ],
)
def test_a_mistake_is_told_before_anything_is_built(call: Call, stacks: Stacks, arguments: list[str], why: str) -> None:
    result = call("matrix", *arguments)
    assert result.exit_code == 2
    assert why in result.stderr.splitlines()[0]
    assert not (stacks.folder / "calls").exists()


def test_a_plan_that_names_its_model_needs_no_source(call: Call, two: Stacks, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(json.dumps(PLAN))
    result = call("matrix", *TWO[1:], "--adapter-config", str(tmp_path / "plan.json"))
    assert result.exit_code == 1
    assert two.calls[0][6:] == [f"--adapter-config={tmp_path / 'plan.json'}", "--"]


def test_settings_hold_as_they_do_for_check(
    call: Call, two: Stacks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "archlint.toml").write_text('sources = ["m"]\nfail-on = "never"\n')
    monkeypatch.chdir(tmp_path)
    assert call("matrix", *TWO[1:]).exit_code == 0
    assert call("matrix", *TWO[1:], "--fail-on", "error").exit_code == 1
    assert call("matrix", *TWO[1:], "--isolated").stderr.splitlines()[0] == "error: no SOURCE is given."


def test_json_keeps_its_schema_and_holds_the_reports(call: Call, two: Stacks) -> None:
    result = call("matrix", *TWO, "--with", "peft==99", "--format", "json")
    document = json.loads(result.stdout)
    jsonschema.validate(document, json_document.schema())
    assert document["schema"] == "archlint/matrix/v1"
    assert document["exit_code"] == result.exit_code == 1
    for stack, name in zip(document["stacks"], TWO[2::2], strict=False):
        [reported] = stack["documents"]
        jsonschema.validate(reported, contract.schema())
        assert reported == json.loads((two.folder / name).read_text())
    assert [stack["unchecked"] is None for stack in document["stacks"]] == [True, True, False]
    [source] = document["sources"]
    assert [cell["works"] for cell in source["stacks"]] == [False, True, False]
    [finding] = source["findings"]
    assert (finding["code"], finding["severities"], finding["differs"]) == ("ARC101", ["error", None, None], True)


def test_markdown_is_a_table_and_what_differs(call: Call, two: Stacks) -> None:
    text = call("matrix", *TWO, "--format", "markdown").stdout
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(text)
    cells = [tokens[place + 1].content for place, one in enumerate(tokens) if one.type in ("th_open", "td_open")]
    assert cells == ["source", "`peft==0.18.0`", "`peft==0.19.0`", "`m`", "1 error", "clean"]
    assert "breaks with `0.18.0`: ARC101" in text.replace("0.18.0:", "`0.18.0`:")


def test_markdown_says_why_a_stack_was_not_checked(call: Call, two: Stacks) -> None:
    text = call("matrix", *TWO, "--with", "peft==99", "--format", "markdown").stdout
    assert "\n\n- `peft==99`: cannot be installed: No matching distribution found for `peft==99`\n\n**" in text


def test_a_file_is_written_and_standard_output_stays_empty(call: Call, two: Stacks, tmp_path: Path) -> None:
    result = call("matrix", *TWO, "--output", str(tmp_path / "out.txt"))
    assert (result.stdout, result.exit_code) == ("", 1)
    assert "works with peft 0.19.0" in (tmp_path / "out.txt").read_text()
    assert result.stderr == f"2 stacks: written to {tmp_path / 'out.txt'}\n"


@pytest.mark.parametrize("asked", ["SIGTERM", "SIGHUP"])
def test_a_request_to_end_leaves_nothing_behind(
    asked: str, call: Call, two: Stacks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unheeded(*_: object) -> None:
        raise AssertionError(asked)

    number = getattr(signal, asked)
    mine = signal.signal(number, unheeded)
    two.crash("peft==0.18.0", f"import os, signal, time; os.kill(os.getppid(), signal.{asked}); time.sleep(60)")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    try:
        result = call("matrix", *TWO)
        assert signal.getsignal(number) is unheeded
    finally:
        signal.signal(number, mine)
    assert result.exit_code == 128 + number
    assert list((tmp_path / "temporary").iterdir()) == []


def test_what_is_to_outlive_its_terminal_does(call: Call, two: Stacks, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        two.crash("peft==0.18.0", "import os, signal; os.kill(os.getppid(), signal.SIGHUP); sys.exit('bye')")
        assert "bye" in call("matrix", *TWO).stdout
    finally:
        signal.signal(signal.SIGHUP, mine)


def test_archlint_that_is_not_installed_says_so(call: Call, stacks: Stacks, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> list[str]:
        from importlib.metadata import PackageNotFoundError

        raise PackageNotFoundError(name)

    monkeypatch.setattr("archlint.matrix.packing.requires", unknown)
    result = call("matrix", *TWO)
    assert result.exit_code == 2
    assert "pip install" in result.stderr


def test_help_names_the_options_of_check_and_its_own(call: Call) -> None:
    text = call("matrix", "--help").stdout
    for name in ("--with", "--scope", "--target-modules", "--adapter-config", "--trainer", "--select", "--offline"):
        assert name in text
    for name in ("--fix", "--baseline", "--diff"):
        assert name not in text
