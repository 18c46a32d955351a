"""What is known from earlier checks: when it is taken, and when it is not."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from archlint import deadline, engine, memory
from archlint.core.catalog import Catalog
from archlint.core.report import Report
from archlint.core.serial import to_json
from archlint.core.trial import USER, Plan
from archlint.options import Options
from archlint.sources import SourceOptions
from archlint.store import Store
from tests.test_identity import SMALL

CATALOG = Catalog.load()
ALL = CATALOG.select(None)


@pytest.fixture
def source(tmp_path: Path) -> str:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(SMALL), encoding="utf-8")
    return str(folder)


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return Options(
        rules=ALL, catalog=CATALOG, source=SourceOptions(offline=True), store=Store(tmp_path / "store"), trainers=()
    )


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the sources that are built."""
    found: list[str] = []
    build = memory.built

    def counted(located: Any, options: Options) -> Any:
        found.append(located.name)
        return build(located, options)

    monkeypatch.setattr(memory, "built", counted)
    return found


def said(report: Report) -> str:
    return json.dumps(to_json(dataclasses.replace(report, seconds=0.0)))


def test_a_second_check_builds_nothing_and_says_the_same(source: str, options: Options, builds: list[str]) -> None:
    alone = engine.check(source, dataclasses.replace(options, store=None))
    first, second = (engine.check(source, options) for _ in range(2))
    assert len(builds) == 2  # without a store, and the first with one
    assert said(alone) == said(first) == said(second)


@pytest.mark.parametrize("first", [["ARC4"], ["ARC1", "ARC6"]])
def test_other_rules_ask_nothing_of_the_model(
    source: str, options: Options, builds: list[str], first: list[str]
) -> None:
    engine.check(source, dataclasses.replace(options, rules=CATALOG.select(first)))
    every = engine.check(source, options)
    assert len(builds) == 1
    assert said(every) == said(engine.check(source, dataclasses.replace(options, store=None)))


def test_another_plan_is_tried_and_then_known(source: str, options: Options, builds: list[str]) -> None:
    engine.check(source, options)
    planned = dataclasses.replace(options, plan=Plan(USER, {"target_modules": ["q_proj", "no_such_proj"]}))
    first, second = (engine.check(source, planned) for _ in range(2))
    assert len(builds) == 2
    assert first.plan is not None
    assert said(first) == said(second)


def test_a_copy_of_the_model_is_known_by_its_own_name(
    source: str, options: Options, builds: list[str], tmp_path: Path
) -> None:
    engine.check(source, options)
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "config.json").write_text(json.dumps({**SMALL, "_name_or_path": "me/mine"}), encoding="utf-8")
    report = engine.check(str(copy), options)
    assert len(builds) == 1
    assert (report.source, report.model and report.model.id) == (str(copy), str(copy))


def test_a_model_that_cannot_be_built_is_known_too(options: Options, builds: list[str], tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    config = {**SMALL, "num_attention_heads": 3}
    (tmp_path / "broken" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    reports = [engine.check(str(tmp_path / "broken"), options) for _ in range(2)]
    reports.append(engine.check(str(tmp_path / "broken"), dataclasses.replace(options, rules=CATALOG.select(["ARC9"]))))
    assert len(builds) == 1
    assert len({said(report) for report in reports}) == 1
    assert reports[0].status == "unchecked"


def test_what_was_stopped_for_its_time_is_tried_again(
    source: str, options: Options, builds: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    count = iter(range(1000))
    monkeypatch.setattr(deadline, "expired", lambda: next(count))
    engine.check(source, options)
    engine.check(source, options)
    assert len(builds) == 2


@pytest.mark.parametrize("content", [b"", b"{}", b"[1", b'{"files": {}, "answers": 3}', b'{"files": {}, "report": []}'])
def test_an_entry_that_is_none_costs_another_run(
    source: str, options: Options, builds: list[str], content: bytes
) -> None:
    assert options.store is not None
    first = engine.check(source, options)
    for entry in options.store.folder.glob("*.result"):
        options.store.put(entry.stem, content)
    assert said(engine.check(source, options)) == said(first)
    assert len(builds) == 2


def test_an_edited_class_is_looked_at_again(
    source: str, options: Options, builds: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of an installed package, as somebody has edited it: the digest of what is in it is another one."""
    from archlint import places

    engine.check(source, options)
    monkeypatch.setattr(places, "_digest", lambda file: "another")
    engine.check(source, options)
    assert len(builds) == 2


def test_rules_of_others_are_always_run(source: str, options: Options, builds: list[str]) -> None:
    """What they say may depend on any code of theirs; the model is not built for it."""

    class Counting(ALL[0]):  # type: ignore[name-defined, misc]
        code, runs = "XYZ001", 0

        def check(self, blueprint: Any) -> Iterator[Any]:
            type(self).runs += 1
            yield self.finding("seen")

    counted = dataclasses.replace(options, rules=[*ALL, Counting])
    reports = [engine.check(source, counted) for _ in range(2)]
    assert [finding.message for report in reports for finding in report.findings].count("seen") == 2
    assert len(builds) == 1


_LOADED = """
import atexit, sys
heavy = {"torch", "transformers", "peft", "accelerate", "trl", "huggingface_hub"}
atexit.register(lambda: print(sorted(heavy & set(sys.modules)), file=sys.stderr))
from archlint.cli import main
main()
"""


@pytest.fixture
def loaded(tmp_path: Path) -> Callable[..., tuple[str, str]]:
    """Runs the command line in a process of its own; what it prints, and which heavy libraries it imported."""
    surroundings = {**os.environ, "ARCHLINT_CACHE_DIR": str(tmp_path / "cache"), "ARCHLINT_CACHE_LIMIT": "1G"}

    def run(*arguments: str) -> tuple[str, str]:
        done = subprocess.run(
            [sys.executable, "-c", _LOADED, *arguments], env=surroundings, capture_output=True, text=True, timeout=300
        )
        return done.stdout, done.stderr.splitlines()[-1]

    return run


def test_a_repeated_check_imports_nothing_heavy(source: str, loaded: Callable[..., tuple[str, str]]) -> None:
    first, imported = loaded(source, "--offline")
    assert "torch" in imported
    assert loaded(source, "--offline") == (first, "[]")
    for changed in (["--select", "ARC2"], ["--format", "sarif"], ["--ignore", "ARC5", "--format", "markdown"]):
        assert loaded(source, "--offline", *changed)[1] == "[]"
    assert "torch" in loaded(source, "--offline", "--no-cache")[1]
