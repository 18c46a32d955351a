"""What is known from earlier checks: when it is taken, and when it is not."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from archlint import deadline, engine, memory
from archlint.building import built
from archlint.core.catalog import Catalog
from archlint.core.finding import Severity
from archlint.core.report import Report
from archlint.core.serial import to_json
from archlint.core.trial import USER, Plan
from archlint.identity import locate
from archlint.options import Options
from archlint.plans import read_plan_file
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
    build = memory.subject_of

    def counted(located: Any, options: Options) -> Any:
        found.append(located.name)
        return build(located, options)

    monkeypatch.setattr(memory, "subject_of", counted)
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


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[1", b'{"files": {}, "answers": 3}', b'{"files": {}, "report": []}', b'{"files": {"a": "b"}}'],
)
def test_an_entry_that_is_none_costs_another_run(
    source: str, options: Options, builds: list[str], content: bytes
) -> None:
    assert options.store is not None
    first = engine.check(source, options)
    for entry in options.store.folder.glob("*.result"):
        options.store.put(entry.stem, content)
    assert said(engine.check(source, options)) == said(first)
    assert len(builds) == 2


def _touched(found: Any) -> Any:
    """A file as if it had been written again, in the same size."""
    path, at = found
    return path, SimpleNamespace(st_size=at.st_size, st_mtime=at.st_mtime, st_mtime_ns=at.st_mtime_ns + 1)


def test_an_edited_class_is_looked_at_again(
    source: str, options: Options, builds: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of an installed package, as somebody has edited it: the digest of what is in it is another one."""
    from archlint import places

    engine.check(source, options)
    monkeypatch.setattr(places, "_digest", lambda path: "another")
    monkeypatch.setattr(places, "_found", lambda file, found=places._found: _touched(found(file)))
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


def test_a_rule_of_others_that_is_ignored_is_run_as_well(source: str, options: Options) -> None:
    """It may say tomorrow what it does not say today; so what would have been found is asked each time."""

    class Harmful(ALL[0]):  # type: ignore[name-defined, misc]
        code, name, severity, harm = "XYZ002", "harmful", Severity.WARNING, False

        def check(self, blueprint: Any) -> Iterator[Any]:
            if type(self).harm:
                yield self.finding("harm")

    catalog = Catalog({**CATALOG.rules, "XYZ002": Harmful})
    ignoring = dataclasses.replace(options, catalog=catalog, ignored={"XYZ002": "settings.toml"})
    assert engine.check(source, ignoring).notes == ()
    Harmful.harm = True
    assert engine.check(source, ignoring).notes == ("XYZ002 harmful (warning) is ignored by settings.toml",)


def test_nothing_is_kept_where_more_models_are_registered(
    options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a file of rules may do: without it, there is no such model."""
    from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    config = type("OwnConfig", (LlamaConfig,), {"model_type": "registered-here"})
    model = type("OwnModel", (LlamaForCausalLM,), {"config_class": config})
    source = tmp_path / "model"
    source.mkdir()
    content = {**SMALL, "model_type": "registered-here", "architectures": ["OwnModel"]}
    (source / "config.json").write_text(json.dumps(content), encoding="utf-8")
    assert engine.check(str(source), options).status == "unchecked"
    for auto in (CONFIG_MAPPING, AutoModelForCausalLM._model_mapping):
        monkeypatch.setattr(auto, "_extra_content", {})
    AutoConfig.register("registered-here", config)
    AutoModelForCausalLM.register(config, model)
    assert engine.check(str(source), options).status != "unchecked"
    monkeypatch.undo()
    assert engine.check(str(source), options).status == "unchecked"


@pytest.mark.parametrize("name", ["old-name", "new-name"])
def test_what_a_comment_may_name_is_asked(options: Options, source: str, builds: list[str], name: str) -> None:
    """A plugin's rule that is called something else leaves its report, though its code is the same."""

    def asked(name: str) -> list[object]:
        rule = type("Renamed", (ALL[0],), {"code": "XYZ003", "name": name})
        return list(dataclasses.replace(options, catalog=Catalog({**CATALOG.rules, "XYZ003": rule})).asked())

    assert (asked("old-name") == asked(name)) is (name == "old-name")


def test_settings_of_an_adapter_count_beside_another_plan(
    source: str, options: Options, builds: list[str], tmp_path: Path
) -> None:
    """Its weights are loaded as its own settings say, whatever else the plan's file asks for."""
    settings = {"peft_type": "LORA", "base_model_name_or_path": source, "r": 2}
    plan = tmp_path / "plan" / "adapter_config.json"
    plan.parent.mkdir()
    plan.write_text(json.dumps({**settings, "target_modules": ["o_proj"]}), encoding="utf-8")
    planned = dataclasses.replace(options, plan_file=read_plan_file(plan))
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    for shape, name in (((2, 32), "A"), ((32, 2), "B")):
        key = f"base_model.model.model.layers.0.self_attn.q_proj.lora_{name}.weight"
        save_file({**_saved(adapter), key: torch.zeros(shape)}, adapter / "adapter_model.safetensors")
    for targets in (["q_proj"], ["v_proj"]):
        written = json.dumps({**settings, "target_modules": targets, "layers_to_transform": [0]})
        (adapter / "adapter_config.json").write_text(written, encoding="utf-8")
        kept, alone = (engine.check(str(adapter), one) for one in (planned, dataclasses.replace(planned, store=None)))
        assert said(kept) == said(alone)


def _saved(adapter: Path) -> dict[str, Any]:
    file = adapter / "adapter_model.safetensors"
    return load_file(file) if file.exists() else {}


OWN = {
    "config.json": json.dumps({"model_type": "borrowing", "auto_map": {
        "AutoConfig": "configuration.Config", "AutoModelForCausalLM": "modeling.Model"}}),
    "configuration.py": """
from transformers import PretrainedConfig

class Config(PretrainedConfig):
    model_type = "borrowing"
""",
    "modeling.py": """
import lender
from torch import nn
from transformers import PreTrainedModel
from .configuration import Config

class Model(PreTrainedModel):
    config_class = Config

    def __init__(self, config):
        super().__init__(config)
        self.inner = nn.Linear(8, lender.WIDTH)

    def forward(self, input_ids=None, **others):
        return self.inner(input_ids)
""",
}  # fmt: skip


@pytest.fixture
def lender(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module that is not installed and that own code imports."""
    file = tmp_path / "path" / "lender.py"
    file.parent.mkdir()
    file.write_text("WIDTH = 8\n", encoding="utf-8")
    monkeypatch.syspath_prepend(file.parent)
    yield file
    sys.modules.pop("lender", None)


@pytest.fixture
def borrowing(tmp_path: Path) -> Callable[[str], str]:
    """Makes a repository whose code imports ``lender``."""

    def make(name: str) -> str:
        folder = tmp_path / name
        folder.mkdir()
        for file, text in OWN.items():
            (folder / file).write_text(text, encoding="utf-8")
        return str(folder)

    return make


@pytest.fixture
def trusting(options: Options, monkeypatch: pytest.MonkeyPatch) -> Options:
    """Own code is run in this process, which sees modules that are not installed: a contained one does not."""
    monkeypatch.setattr(memory, "subject_of", built)
    return dataclasses.replace(options, source=SourceOptions(offline=True, trust_remote_code=True), prove=False)


def test_what_own_code_imports_counts_for_each_model_that_does(
    borrowing: Callable[[str], str], trusting: Options, builds: list[str], lender: Path
) -> None:
    """For the second in one process it is imported already."""
    first, second = borrowing("first"), borrowing("second")
    for source in (first, second, first, second):
        engine.check(source, trusting)
    assert builds == [first, second]
    lender.write_text("WIDTH = 4\n", encoding="utf-8")
    assert not [source for source in (first, second) if engine.kept(locate(source, trusting), trusting)]


def test_a_report_made_of_evidence_is_from_the_same_files(
    borrowing: Callable[[str], str], trusting: Options, builds: list[str], lender: Path
) -> None:
    source = borrowing("model")
    engine.check(source, trusting)
    sys.modules.pop("lender")  # as in another process
    few = dataclasses.replace(trusting, rules=CATALOG.select(["ARC1"]))
    engine.check(source, few)
    assert engine.kept(locate(source, few), few) is not None
    assert len(builds) == 1
    lender.write_text("WIDTH = 4\n", encoding="utf-8")
    assert engine.kept(locate(source, few), few) is None


def test_nothing_is_kept_of_code_that_is_edited_meanwhile(
    borrowing: Callable[[str], str],
    trusting: Options,
    builds: list[str],
    lender: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was imported is not what is in the file by the time that it is looked at."""
    build = memory.subject_of

    def edited(located: Any, options: Options) -> Any:
        subject = build(located, options)
        lender.write_text("WIDTH = 4\n", encoding="utf-8")
        os.utime(lender, (time.time() + 1,) * 2)  # clocks of file systems are coarse
        return subject

    monkeypatch.setattr(memory, "subject_of", edited)
    source = borrowing("model")
    engine.check(source, trusting)
    assert engine.kept(locate(source, trusting), trusting) is None


@pytest.mark.parametrize("changes", [{}, {"num_attention_heads": 3}], ids=["built", "not built"])
def test_files_that_made_the_model_are_named(options: Options, tmp_path: Path, changes: dict[str, Any]) -> None:
    """Not those of its classes alone: the configuration has its defaults, and a table chooses the class."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text(json.dumps({**SMALL, **changes}), encoding="utf-8")
    engine.check(str(tmp_path / "model"), options)
    assert options.store is not None
    kept = [json.loads(options.store.get(entry.stem) or b"") for entry in options.store.folder.glob("*.result")]
    assert len(kept) == 2
    for name in ("llama/modeling_llama", "llama/configuration_llama", "auto/modeling_auto", "auto/configuration_auto"):
        assert all(f"transformers/models/{name}.py" in entry["files"] for entry in kept)


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
