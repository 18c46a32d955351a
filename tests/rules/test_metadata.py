"""Each built-in rule is a page that can be read, found and explained: its metadata is held to one form."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest

from archlint.core.catalog import Catalog
from archlint.core.finding import Severity
from archlint.core.rule import Rule

FAMILIES = {
    "projections": 1,
    "norms": 2,
    "experts": 3,
    "heads": 4,
    "targeting": 5,
    "towers": 6,
    "trainers": 7,
    "saving": 8,
    "tool": 9,
}
"""Folders of rules, and the first digit of the codes in them."""
SECTIONS = ("What it does", "Why it matters", "What to do")


def _folder() -> Path:
    spec = find_spec("archlint.rules")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


CATALOG = Catalog.load()
BUILT_IN = [rule for rule in CATALOG.rules.values() if rule.__module__.startswith("archlint.rules.")]
FILES = sorted(path for path in _folder().rglob("*.py") if path.name != "__init__.py")

each_rule = pytest.mark.parametrize("rule", BUILT_IN, ids=lambda rule: rule.code)


def test_every_built_in_rule_loads() -> None:
    assert CATALOG.failures == ()
    assert BUILT_IN


def test_a_file_holds_one_rule() -> None:
    rules = Counter(inspect.getfile(rule) for rule in BUILT_IN)
    assert rules == Counter(map(str, FILES))


def test_names_are_unique() -> None:
    assert [name for name, count in Counter(rule.name for rule in BUILT_IN).items() if count > 1] == []


@each_rule
def test_code_name_class_file_and_folder_agree(rule: type[Rule]) -> None:
    _, _, family, module = rule.__module__.split(".")
    assert re.fullmatch(rf"ARC{FAMILIES[family]}\d\d", rule.code)
    assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", rule.name)
    assert module == rule.name.replace("-", "_")
    assert rule.__name__.lower() == rule.name.replace("-", "")
    assert isinstance(rule.severity, Severity)


@each_rule
def test_the_module_begins_with_its_code(rule: type[Rule]) -> None:
    assert (inspect.getmodule(rule).__doc__ or "").startswith(f"{rule.code}: ")


@each_rule
def test_why_is_one_sentence(rule: type[Rule]) -> None:
    assert re.fullmatch(r"[A-Z`_a-z].*[^.]\.", rule.why)
    assert not re.search(r"[a-z)`][.!?] [A-Z]", rule.why), "more than one sentence"


@each_rule
def test_the_docstring_is_a_whole_page(rule: type[Rule]) -> None:
    assert rule.__doc__ is not None
    first_line = inspect.cleandoc(rule.__doc__).splitlines()[0]
    documentation = rule.documentation()
    assert documentation.summary == first_line, "the summary is one line"
    assert first_line.endswith(".")
    assert tuple(documentation.sections)[:3] == SECTIONS
    assert all(documentation.sections.values()), "no section is empty"


@each_rule
def test_there_are_examples(rule: type[Rule]) -> None:
    of_the_engine = rule.__module__.startswith("archlint.rules.tool.")
    assert rule.fires or of_the_engine
    assert rule.silent or of_the_engine
    for example in (*rule.fires, *rule.silent):
        assert ":" in example.model or "/" in example.model
    assert all(example.at is None and example.severity is None for example in rule.silent), "nothing is found there"
