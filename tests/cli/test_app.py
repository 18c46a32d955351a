"""The program as a whole: help, versions, completion, what it must not import, how it ends."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from archlint.cli import app as program

from .conftest import Call, Engine

HEAVY = ("torch", "transformers", "peft", "accelerate", "numpy", "huggingface_hub")
ROOT = Path(__file__).parent.parent.parent
FULL = Path("/dev/full")


def test_help_has_sections_examples_and_exit_codes(call: Call) -> None:
    for arguments in (["--help"], ["-h"], ["check", "--help"]):
        result = call(*arguments)
        assert result.exit_code == 0
        assert max(map(len, result.stdout.splitlines())) <= 80
        for heading in ("What is checked:", "Your plan:", "Rules:", "Report:", "Examples:", "Exit codes:"):
            assert f"\n{heading}\n" in result.stdout
        assert result.stdout.count("--help") == 1


def test_each_option_takes_one_line_of_help(call: Call) -> None:
    for command in ("check", "recipe", "rules", "explain"):
        options = [line for line in call(command, "--help").stdout.splitlines() if line.startswith("   ")]
        assert [line for line in options if not line.strip().startswith("-")] == []


def test_every_command_is_listed_by_its_own_line() -> None:
    ctx = click.Context(program.app)
    commands = {name: program.app.get_command(ctx, name) for name in program.app.list_commands(ctx)}
    lines = {name: "" if command.hidden else command.short_help for name, command in commands.items() if command}
    assert {name: deferred.help for name, deferred in program.COMMANDS.items()} == lines
    assert [name for name, command in commands.items() if command is None or command.name != name] == []


def test_every_command_that_is_written_is_one_of_the_program() -> None:
    known = {(deferred.module, deferred.name) for deferred in program.COMMANDS.values()}
    written = set()
    for file in (ROOT / "archlint" / "cli").glob("*.py"):
        members = vars(importlib.import_module(f"archlint.cli.{file.stem}")).items()
        written |= {(one.callback.__module__, name) for name, one in members if isinstance(one, click.Command)}
    assert written - {("archlint.cli.app", "app")} == known


@pytest.mark.parametrize(
    ("arguments", "module"),
    [(["rules"], "archlint.cli.check"), (["--help"], "archlint.cli.recipe"), (["recipe", "-h"], "archlint.cli.check")],
)
def test_a_command_is_imported_when_it_is_asked_for(arguments: list[str], module: str) -> None:
    code = (
        "import atexit, sys\n"
        f"atexit.register(lambda: print({module!r} in sys.modules, flush=True))\n"
        "from archlint.cli import main\n"
        f"sys.argv[1:] = {arguments!r}\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_without_arguments_help_is_an_error(call: Call) -> None:
    result = call()
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Usage: archlint [check] SOURCE...")


def test_versions(call: Call) -> None:
    lines = call("--version").stdout.splitlines()
    packages = ["archlint", "python", "torch", "transformers", "accelerate", "peft", "trl"]
    assert [line.split()[0] for line in lines] == packages


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["check", "--help"],
        ["--version"],
        ["rules"],
        ["rules", "--format", "json"],
        ["explain", "ARC101"],
        ["explain", "nothing"],
        ["x", "--scope", "nothing"],
        ["x", "--select", "nothing"],
        ["x", "--output", "/no/such/folder/x"],
        ["x", "--adapter-config", "ADAPTER"],
        ["x", "--adapter-config", "ADAPTER", "--select", "nothing"],
    ],
    ids=" ".join,
)
def test_nothing_heavy_is_imported_before_there_is_something_to_check(arguments: list[str], tmp_path: Path) -> None:
    adapter = tmp_path / "adapter_config.json"
    adapter.write_text('{"peft_type": "P_TUNING"}' if len(arguments) == 3 else '{"r": 4}')
    arguments = [str(adapter) if argument == "ADAPTER" else argument for argument in arguments]
    code = (
        "import atexit, sys\n"
        f"loaded = lambda: print('LOADED', [name for name in {HEAVY!r} if name in sys.modules], flush=True)\n"
        "atexit.register(loaded)\n"
        "from archlint.cli import main\n"
        f"sys.argv[1:] = {arguments!r}\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "LOADED []"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion_is_there(python: list[str], shell: str) -> None:
    environment = {**os.environ, "_ARCHLINT_COMPLETE": f"{shell}_source"}
    done = subprocess.run(python, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert "_ARCHLINT_COMPLETE" in done.stdout


@pytest.mark.parametrize(
    ("words", "completions"),
    [
        ("archlint ", {"check", "recipe", "rules", "explain"}),
        ("archlint re", {"recipe"}),
        ("archlint --sc", {"--scope"}),
        ("archlint --scope te", {"text"}),
        ("archlint x --tar", {"--target-modules", "--target-parameters"}),
    ],
)
def test_completions(python: list[str], words: str, completions: set[str]) -> None:
    environment = {
        **os.environ,
        "_ARCHLINT_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }
    done = subprocess.run(python, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert completions <= {line.partition(",")[2] for line in done.stdout.splitlines()}


def test_a_bug_is_no_finding(call: Call, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("archlint.engine.check", crash)
    result = call("x")
    assert result.exit_code == 3
    assert "RuntimeError: boom" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("archlint itself failed")


def test_an_interrupt_leaves_no_traceback(call: Call, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("archlint.engine.check", interrupt)
    result = call("x")
    assert result.exit_code == 130
    assert result.output.split() == ["interrupted"]


@pytest.mark.skipif(not hasattr(signal, "SIGPIPE"), reason="no pipes that break")
def test_a_reader_who_leaves_early_is_no_error(python: list[str]) -> None:
    process = subprocess.Popen(
        [*python, "rules", "--format", "json"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait() == 0
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()


def test_a_locale_without_these_characters_is_no_error(python: list[str]) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [*python, "explain", "ARC101"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("ARC101 wrapped-linear | error\n")


COMMANDS = [["rules"], ["rules", "--format", "json"], ["explain", "ARC101"], ["--version"], ["--help"], ["rules", "-h"]]


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
@pytest.mark.skipif(os.name != "posix", reason="needs a shell that closes streams")
def test_a_closed_standard_output_is_no_error(python: list[str], arguments: list[str]) -> None:
    command = [*python, *arguments]
    done = subprocess.run(
        ["sh", "-c", '"$@" >&-', "sh", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.skipif(not FULL.exists(), reason="no device that is always full")
def test_a_full_standard_output_is_one_line_and_exit_code_2(
    python: list[str], arguments: list[str], unbuffered: str
) -> None:
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with FULL.open("w") as full:
        done = subprocess.run(
            [*python, *arguments],
            cwd=ROOT,
            env=environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (2, "error: standard output: No space left on device\n")
