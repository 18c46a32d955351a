"""``archlint scan``: its options, and what it says beside the results."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from archlint.core.report import Report
from archlint.options import Options
from archlint.scanning import jobs
from archlint.scanning.scan import Found, Identity
from archlint.scanning.tasks import Outcome, Task

from .conftest import Call, Engine


class Here:
    """Stands in for the engine: checks in this process, and keeps how it was made."""

    made: tuple[Any, ...] = ()

    def __init__(self, *made: Any) -> None:
        type(self).made = made

    def running(self) -> list[str]:
        return []

    def run(self, tasks: Iterator[Task | None]) -> Iterator[Outcome | None]:
        for task in tasks:
            if task is not None:
                said = json.loads(jobs.answer(task.job))
                yield Outcome(task.number, said.get("document"), said.get("lost", ""), 0.5)
            yield None


asked: list[tuple[str, Options]] = []


def _check(source: str, options: Options) -> Report:
    asked.append((source, options))
    return Engine().check(source, options)


@pytest.fixture(autouse=True)
def scanned(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Options]]:
    """What was asked, and with which options."""
    identity = Identity(lambda entry, _: Found(entry.source, None), _check, lambda report, _: report)
    monkeypatch.setattr("archlint.scanning.identifying.usual", lambda: identity)
    monkeypatch.setattr("archlint.cli.scan._engine", Here)
    asked.clear()
    return asked


def sources(text: str) -> list[str]:
    return [json.loads(line)["reports"][0]["source"] for line in text.splitlines()]


def test_results_are_lines_and_the_tally_is_told(call: Call) -> None:
    result = call("scan", "fine", "warning", "gone")
    assert sources(result.stdout) == ["fine", "warning", "gone"]
    assert result.stderr == "3 models: 1 clean, 1 with findings, 1 not checked, 1 warning\n"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["fine"], 0),
        (["info", "warning"], 0),
        (["error", "gone"], 1),
        (["fine", "gone"], 3),
        (["warning", "--fail-on", "warning"], 1),
        (["info", "--fail-on", "info"], 1),
        (["error", "gone", "--fail-on", "never"], 3),
    ],
)
def test_exit_codes_are_those_of_check(call: Call, arguments: list[str], code: int) -> None:
    assert call("scan", *arguments).exit_code == code


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "there is nothing to scan"),
        (["fine", "--resume"], "--resume goes on with a file: name it with -o"),
        (["fine", "--shard", "0/3"], "is not of the form I/N"),
        (["fine", "--shard", "4/3"], "is not of the form I/N"),
        (["fine", "--shard", "1"], "is not of the form I/N"),
        (["fine", "--jobs", "0"], "--jobs"),
        (["fine", "--timeout", "0"], "--timeout"),
        (["fine", "--memory", "-1"], "--memory"),
        (["fine", "--memory", "inf"], "--memory"),
        (["fine", "--memory", "nan"], "--memory"),
        (["fine", "--timeout", "nan"], "--timeout"),
        (["fine", "-o", "no/such/folder"], "the folder"),
        (["fine", "--select", "ARC998"], "no rule 'ARC998'"),
        (["fine", "--engine", "none"], "--engine"),
    ],
)
def test_wrong_usage(call: Call, arguments: list[str], says: str) -> None:
    result = call("scan", *arguments)
    assert result.exit_code == 2
    assert says in result.stderr
    assert asked == []


def test_options_reach_the_checks(call: Call, tmp_path: Path) -> None:
    line = "--scope vision --target-modules q_proj --trainer trl-dpo --select ARC1 --no-prove --offline --revision v1"
    assert call("scan", "fine", *line.split()).exit_code == 0
    ((_, options),) = asked
    assert options.scope is not None
    assert options.scope.value == "vision"
    assert options.plan is not None
    assert [trainer.value for trainer in options.trainers or ()] == ["trl-dpo"]
    assert {rule.code[:4] for rule in options.rules} == {"ARC1"}
    assert (options.prove, options.source.offline, options.source.revision) == (False, True, "v1")


def test_what_a_list_says_of_a_source_wins(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "list.jsonl"
    file.write_text('{"id": "one", "revision": "v2", "subfolder": "text"}\n"two"')
    assert call("scan", str(file), "--revision", "v1").exit_code == 0
    said = [(name, options.source.revision, options.source.subfolder) for name, options in asked]
    assert said == [("one", "v2", "text"), ("two", "v1", None)]


def test_settings_of_a_source_hold(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("archlint.toml").write_text('select = ["ARC2"]\n[source."special"]\nselect = ["ARC3"]\n')
    assert call("scan", "fine", "special").exit_code == 0
    assert [{rule.code[:4] for rule in options.rules} for _, options in asked] == [{"ARC2"}, {"ARC3"}]


def test_rules_of_a_file_go_along(call: Call, tmp_path: Path) -> None:
    from .conftest import RULE

    (tmp_path / "mine.py").write_text(RULE)
    assert call("scan", "fine", "--load", str(tmp_path / "mine.py"), "--select", "MINE1").exit_code == 0
    ((_, options),) = asked
    assert [rule.code for rule in options.rules] == ["MINE1"]


def test_limits_reach_the_engine(call: Call) -> None:
    call("scan", "fine", "--jobs", "3", "--timeout", "7.5", "--memory", "1.5")
    assert Here.made == ("processes", 3, 7.5, 1.5)


def test_lists_shards_and_all_types(call: Call, tmp_path: Path) -> None:
    (tmp_path / "list").write_text("one\ntwo\nthree\n# four\n")
    (tmp_path / "hub").write_text('five\n{"id": "six", "tags": []}\n')
    named = [str(tmp_path / "list"), "--hub-list", str(tmp_path / "hub")]
    whole = sources(call("scan", *named).stdout)
    assert whole == ["one", "two", "three", "five", "six"]
    parts = [sources(call("scan", *named, "--shard", f"{part}/2").stdout) for part in (1, 2)]
    assert sorted(parts[0] + parts[1]) == sorted(whole)
    types = sources(call("scan", "--all-types").stdout)
    assert "type:gpt2" in types
    assert types == sorted(types)


def test_a_list_without_sources_is_not_clean(call: Call, tmp_path: Path) -> None:
    (tmp_path / "list").write_text("# nothing\n")
    result = call("scan", str(tmp_path / "list"))
    assert (result.exit_code, result.stdout) == (3, "")
    assert "nothing was scanned: the lists name no source" in result.stderr


def test_a_source_named_twice_is_scanned_once(call: Call) -> None:
    result = call("scan", "one", "two", "one", "one")
    assert sources(result.stdout) == ["one", "two"]
    assert "named more than once, and scanned once: one, one (2 lines)" in result.stderr


def test_a_file_takes_the_lines_and_standard_output_the_tables(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "scan.jsonl"
    result = call("scan", "error", "fine", "gone", "-o", str(file), "--statistics")
    assert sources(file.read_text()) == ["error", "fine", "gone"]
    assert result.stderr == (f"3 models: 1 clean, 1 with findings, 1 not checked, 1 error: written to {file}\n")
    table = [re.split(r"\s{2,}", line.strip()) for line in result.stdout.splitlines()]
    assert ["ARC101 wrapped-linear", "1"] in table
    assert ["net", "2", "1", "1"] in table
    assert ["(not loaded)", "1", "1"] in table
    assert ["run", "3"] in table
    assert ["processor", "1.5 s, 0.50 s a model"] in table


def test_without_a_file_the_tables_are_beside_the_results(call: Call) -> None:
    result = call("scan", "fine", "--statistics")
    assert sources(result.stdout) == ["fine"]
    assert "models by model type" in result.stderr


def test_a_scan_goes_on(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "scan.jsonl"
    assert call("scan", "error", "-o", str(file)).exit_code == 1
    again = call("scan", "error", "fine", "-o", str(file))
    assert again.exit_code == 2
    assert "is there already: --resume goes on with it" in again.stderr
    asked.clear()
    result = call("scan", "fine", "error", "-o", str(file), "--resume")
    assert result.exit_code == 1
    assert [source for source, _ in asked] == ["fine"]
    assert sources(file.read_text()) == ["fine", "error"]
    assert "1 there already" in result.stderr


def test_other_options_are_not_mixed(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "scan.jsonl"
    call("scan", "fine", "-o", str(file))
    before = file.read_bytes()
    result = call("scan", "fine", "-o", str(file), "--resume", "--no-prove")
    assert result.exit_code == 2
    assert "it holds what was made with other options or versions: name another file" in result.stderr
    assert file.read_bytes() == before


def test_options_of_one_source_are_not_mixed(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("archlint.toml").write_text('[source."special"]\nselect = ["ARC3"]\n')
    assert call("scan", "fine", "special", "-o", "scan.jsonl").exit_code == 0
    assert call("scan", "fine", "special", "-o", "scan.jsonl", "--resume").exit_code == 0
    Path("archlint.toml").write_text('[source."special"]\nselect = ["ARC4"]\n')
    result = call("scan", "fine", "special", "-o", "scan.jsonl", "--resume")
    assert result.exit_code == 2
    assert "(special)" in result.stderr


def test_limits_are_no_part_of_what_is_scanned(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "scan.jsonl"
    call("scan", "fine", "-o", str(file))
    assert call("scan", "fine", "-o", str(file), "--resume", "-j", "7", "--timeout", "9").exit_code == 0


def test_a_broken_line_is_told(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "scan.jsonl"
    call("scan", "error", "fine", "-o", str(file))
    whole = file.read_bytes()
    file.write_bytes(whole[:-9])
    result = call("scan", "error", "fine", "-o", str(file), "--resume")
    assert "what 1 broken line said is scanned again" in result.stderr
    assert file.read_bytes() == whole


def test_stored_results_are_read_as_any(call: Call, tmp_path: Path) -> None:
    parts = [tmp_path / "1.jsonl", tmp_path / "2.jsonl"]
    call("scan", "error", "-o", str(parts[0]))
    call("scan", "warning", "-o", str(parts[1]))
    result = call("report", *map(str, parts), "--format", "concise")
    assert result.exit_code == 0
    assert "error" in result.stdout
    assert "warning ARC601" in result.stdout


def test_control_characters_of_a_list_do_not_reach_the_terminal(call: Call, tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(b"a\x1b[31m\na\x1b[31m\n\xff\xfe\n")
    result = call("scan", str(tmp_path / "list"))
    assert "\x1b" not in result.stderr
    assert sources(result.stdout) == ["a\x1b[31m", "\udcff\udcfe"]
