"""Which sources are one architecture, and what a report is called."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archlint import engine, identity
from archlint.core.catalog import Catalog
from archlint.core.custom_code import Conduct, Containment, OwnCode, Reading
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.report import Report
from archlint.core.serial import to_json
from archlint.identity import NAMELESS, locate
from archlint.options import Options
from archlint.sources import SourceError, SourceOptions

Put = Callable[..., str]

SMALL = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "vocab_size": 64,
}


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Writes a folder with a config."""

    def write(name: str, **changes: Any) -> str:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({**SMALL, **changes}), encoding="utf-8")
        return str(folder)

    return write


def architecture(source: str, **changes: Any) -> str | None:
    options = Options(source=SourceOptions(offline=True, trust_remote_code=changes.pop("trust", False)), **changes)
    return locate(source, options).architecture(options)


def test_models_that_differ_by_names_alone_are_one(put: Put) -> None:
    assert architecture(put("one", _name_or_path="a/b")) == architecture(put("two", _name_or_path="c/d"))


def test_models_that_differ_in_size_are_two(put: Put) -> None:
    assert architecture(put("one")) != architecture(put("two", num_hidden_layers=3))


def test_another_scope_or_class_is_another_question(put: Put) -> None:
    from archlint.core.blueprint import Scope

    source = put("one")
    options = Options(source=SourceOptions(offline=True, class_name="LlamaForSequenceClassification"))
    keys = {
        architecture(source),
        architecture(source, scope=Scope.ALL),
        locate(source, options).architecture(options),
    }
    assert len(keys) == 3


def test_own_code_that_is_run_or_read_belongs_to_the_architecture(put: Put) -> None:
    source = put("own", model_type="own", auto_map={"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"})
    code = Path(source) / "own.py"
    code.write_text("ONE = 1\n", encoding="utf-8")
    run, read = architecture(source, trust=True), architecture(source)
    assert run != read
    code.write_text("ONE = 2\n", encoding="utf-8")
    assert architecture(source, trust=True) != run
    assert architecture(source) != read


def test_code_beside_a_type_that_transformers_has_is_nothing_to_it(put: Put) -> None:
    source = put("known", auto_map={"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"})
    before = architecture(source, trust=True)
    (Path(source) / "own.py").write_text("ONE = 1\n", encoding="utf-8")
    assert architecture(source, trust=True) == architecture(source) == before


def test_what_no_repository_has_as_its_code_is_not_kept(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    source = put("own", model_type="own", auto_map={"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"})
    for number in range(4):
        (Path(source) / f"own{number}.py").write_text("ONE = 1\n", encoding="utf-8")
    assert architecture(source) is not None
    monkeypatch.setattr(identity, "_MOST_FILES", 3)
    assert architecture(source) is None
    monkeypatch.setattr(identity, "_MOST_FILES", 1000)
    monkeypatch.setattr(identity, "_MOST_BYTES", 30)
    assert architecture(source) is None


def test_code_of_another_repository_is_known_by_nothing_here(put: Put) -> None:
    source = put("own", model_type="own", auto_map={"AutoConfig": "a/b--own.Config", "AutoModel": "a/b--own.Model"})
    (Path(source) / "own.py").write_text("", encoding="utf-8")
    assert architecture(source, trust=True) is None


def test_what_is_not_there_is_an_error() -> None:
    with pytest.raises(SourceError):
        locate("type:nothing-like-this", Options(source=SourceOptions(offline=True)))


@pytest.mark.parametrize("source", ["google/gemma-4-E2B-it"])
def test_a_report_of_another_name_is_what_a_check_by_that_name_says(
    source: str, shallow: Callable[[str], str], tmp_path: Path
) -> None:
    """A wrapper's remedy has the source in the command that it shows."""
    first = Path(shallow(source))
    second = tmp_path / "other"
    second.mkdir()
    (second / "config.json").write_bytes((first / "config.json").read_bytes())
    catalog = Catalog.load()
    options = Options(
        rules=catalog.select(["ARC101", "ARC5"]), catalog=catalog, trainers=(), source=SourceOptions(offline=True)
    )
    one, two = (locate(str(place), options) for place in (first, second))
    nameless = engine.check_located(one, options)
    assert NAMELESS in json.dumps(to_json(nameless))
    renamed, checked = to_json(two.named(nameless)), to_json(engine.check(str(second), options))
    checked.pop("seconds")
    assert json.dumps(renamed) == json.dumps(checked)
    assert NAMELESS not in json.dumps(renamed)
    assert f"archlint patch {second} " in json.dumps(renamed)


@pytest.mark.parametrize(
    ("own_code", "options"),
    [
        (None, ""),
        (OwnCode(reading=Reading()), ""),
        (OwnCode(conduct=Conduct(Containment(("seccomp",)))), "--trust-remote-code "),
    ],
)
def test_a_command_of_a_remedy_lets_run_what_was_run(put: Put, own_code: OwnCode | None, options: str) -> None:
    command = f"archlint patch {NAMELESS} --way register"
    remedy = Remedy("patch", f"unwrap: {command}", command)
    finding = Finding("ARC101", "x", Severity.ERROR, "x", "x", Evidence.FORWARDED, remedies=(remedy,))
    source = put("a model")
    report = locate(source, Options()).named(Report(NAMELESS, findings=(finding,), own_code=own_code))
    assert report.findings[0].remedies[0].value == f"archlint patch '{source}' {options}--way register"
