"""Names that mean something to a terminal, a shell, a page or Python are shown as text by every command."""

from __future__ import annotations

import ast
import json
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from archlint.cli.app import app
from archlint.core.finding import Finding, Remedy, Severity
from archlint.core.report import Report
from archlint.core.surgery import Way
from archlint.identity import NAMELESS, Located
from archlint.sources import Source
from archlint.sources.contents import no_config
from archlint.surgery.composing import composed
from archlint.surgery.templates import bare
from tests.fuzzing.payloads import MARKUP
from tests.fuzzing.rendered import unprintable

ESCAPE = "\x1b[31mred\x1b[0m\x9b2J\u202e"
SHELL = ["$(touch injected)", "`touch injected`", "; touch injected;", "' || touch injected #", "a b", "\n", "-x"]
TINY = {
    "model_type": "llama",
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "vocab_size": 32,
}


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with files whose names and contents are escapes for a terminal."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / f"model{ESCAPE}[red]x"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({**TINY, ESCAPE: 1, "architectures": [ESCAPE]}), encoding="utf-8")
    for name in ("toml", "json", "yml", "txt"):
        (tmp_path / f"x{ESCAPE}.{name}").write_text(f'{{"{ESCAPE}" = 1}}', encoding="utf-8")
    (tmp_path / "list.txt").write_text(f"{folder.name}\n{ESCAPE}/x\n", encoding="utf-8")
    adapter = {"peft_type": ESCAPE, "base_model_name_or_path": ESCAPE, "target_modules": [ESCAPE]}
    (tmp_path / "adapter_config.json").write_text(json.dumps(adapter), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    "call",
    [
        ["check", "{model}", "--no-prove"],
        ["check", "{model}", "--no-prove", "--format", "concise"],
        ["check", "{model}", "--no-prove", "--format", "github"],
        ["check", "{model}", "--no-prove", "--format", "markdown"],
        ["check", f"{ESCAPE}/x"],
        ["check", f"./{ESCAPE}"],
        ["check", f"type:{ESCAPE}"],
        ["check", f"https://{ESCAPE}"],
        ["check", "{model}", "--config", f"x{ESCAPE}.toml"],
        ["check", "{model}", "--config", f"no{ESCAPE}.toml"],
        ["check", "{model}", "--adapter-config", f"x{ESCAPE}.json"],
        ["check", "{model}", "--adapter-config", f"x{ESCAPE}.yml"],
        ["check", "{model}", "--adapter-config", "adapter_config.json"],
        ["check", "{model}", "--select", ESCAPE],
        ["check", "{model}", "--trainer", ESCAPE],
        ["check", "{model}", "--trainer-args", f"{ESCAPE}={ESCAPE}"],
        ["check", "{model}", "--baseline", f"x{ESCAPE}.json"],
        ["check", "{model}", "--output", f"no/{ESCAPE}"],
        ["check", "{model}", "--also", f"{ESCAPE}=x"],
        ["check", "{model}", "--against", ESCAPE],
        ["check", "{model}", "--load", f"x{ESCAPE}.txt"],
        ["check", "{model}", "--class", ESCAPE, "--no-prove"],
        ["check", f"--{ESCAPE}"],
        ["check", "adapter_config.json"],
        ["recipe", f"{ESCAPE}/x"],
        ["recipe", "{model}", "--for", ESCAPE],
        ["patch", f"{ESCAPE}/x"],
        ["patch", "{model}", "--list"],
        ["patch", "{model}"],
        ["diff", f"x{ESCAPE}.json", f"x{ESCAPE}.json"],
        ["report", f"x{ESCAPE}.json"],
        ["scan", f"no{ESCAPE}.txt", "-o", f"no/{ESCAPE}"],
        ["matrix", f"{ESCAPE}/x", "--with", ESCAPE],
        ["explain", ESCAPE],
        ["rules", "--select", ESCAPE],
        ["cache", ESCAPE],
    ],
    ids=lambda call: " ".join(call).encode("unicode_escape").decode()[:60],
)
def test_no_command_lets_an_escape_through(hostile: Path, call: list[str]) -> None:
    result = CliRunner().invoke(app, [part.format(model=hostile.name) for part in call])
    assert "Traceback" not in result.output
    assert list(unprintable(result.output)) == []
    assert "injected" not in result.output


@pytest.mark.parametrize("name", SHELL)
def test_a_command_that_a_fix_names_has_one_argument_for_the_source(name: str) -> None:
    located = Located(name, Source(name=name, id=name, origin="local", config=TINY))
    text = f"or unwrap after loading: archlint patch {NAMELESS} --way {Way.UNWRAP.value}"
    remedy = Remedy("patch", text, text.partition(": ")[2])
    finding = Finding("ARC101", "wrapped-linear", Severity.ERROR, "", "", remedies=(remedy,))
    (named,) = located.named(Report(NAMELESS, findings=(finding,))).findings
    (remedy,) = named.remedies
    assert remedy.text.endswith(remedy.value)
    assert shlex.split(remedy.value) == ["archlint", "patch", name, "--way", "unwrap"]


@pytest.mark.parametrize("name", [name for name in SHELL if name.isprintable()])
def test_a_hint_has_one_argument_for_each_name(name: str) -> None:
    adapter = {"base_model_name_or_path": name}
    error = no_config("x", {"adapter_config.json"}, lambda _: adapter, adapter_file=name)
    assert error.hint is not None
    command = shlex.split(error.hint.partition(": ")[2])
    assert command == ["archlint", name, "--adapter-config", name]


@pytest.mark.parametrize("name", [*MARKUP, *SHELL])
def test_a_patch_that_is_made_for_a_model_of_any_name_is_the_same_code(name: str) -> None:
    text, plain = (composed(f"Made for {one}.", {}, [bare]) for one in (name, "x"))
    made, expected = (list(map(ast.dump, ast.parse(code).body[1:])) for code in (text, plain))
    assert made == expected
    assert list(unprintable(text)) == []
