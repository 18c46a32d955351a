"""Whatever is changed in a file, it then says just that, and everything else stands as it stood."""

from __future__ import annotations

import json
import keyword
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archlint.plans.document import Document, PlanError
from archlint.plans.documents.command_document import CommandDocument
from archlint.plans.documents.json_document import JsonDocument
from archlint.plans.documents.python_document import PythonDocument
from archlint.plans.documents.yaml_document import YamlDocument

FILE = Path("file")
KEYS = st.from_regex(r"[a-z][a-z_]{0,9}", fullmatch=True).filter(
    lambda key: key not in ("y", "n", "on", "off", "no", "yes", "true", "false", "null") and not keyword.iskeyword(key)
)
TEXTS = st.one_of(
    st.from_regex(r"[a-z_]{1,8}(\.[a-z_0-9]{1,4})?", fullmatch=True),
    st.sampled_from([r".*\.(q|v)_proj", r"^(?!.*vision).*\d+$", "yes", "1", "", "it's", 'a "b"', "é"]),
    st.sampled_from(["#x", "a: b", "- a"]),
    st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=6),
)
SCALARS = st.one_of(TEXTS, st.integers(-9, 99), st.booleans(), st.floats(-10, 10))
DATA = st.one_of(SCALARS, st.lists(TEXTS, max_size=4), st.dictionaries(KEYS, st.integers(1, 64), max_size=2))
SETTINGS = st.dictionaries(KEYS, DATA, min_size=1, max_size=6)
CHANGES = st.dictionaries(KEYS, st.one_of(st.none(), DATA), max_size=3)


def written_as_yaml(settings: Mapping[str, Any]) -> str:
    lines = ["# a file", ""]
    for number, (key, data) in enumerate(settings.items()):
        if isinstance(data, list) and data and number % 2:
            lines += [
                f"{key}:  # why",
                *(f"  - {json.dumps(item, ensure_ascii=False)} # {number}" for item in data),
                "",
                f"# after {key}",
            ]
        else:
            lines.append(f"{key}: {json.dumps(data, ensure_ascii=False)}   # {number}")
    return "\n".join([*lines, "# the end", ""])


def written_as_python(settings: Mapping[str, Any]) -> str:
    lines = [f"    {key}={data!r},  # {number}" for number, (key, data) in enumerate(settings.items())]
    return "\n".join(["before = 1", "config = Config(", *lines, ")", "after = 2", ""])


def said(document: Document) -> dict[str, Any]:
    (section,) = [section for section in document.sections if section.entries] or document.sections[:1]
    return {key: entry.data for key, entry in section.entries.items()}


def expected(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {key: data for key, data in {**settings, **changes}.items() if data is not None}


def changed(document: Document, changes: Mapping[str, Any]) -> Document:
    section = next((section for section in document.sections if section.entries), document.sections[0])
    return type(document)(FILE, document.rewritten(section, changes))


@given(SETTINGS, SETTINGS, st.sets(KEYS), st.sampled_from([None, 2, "\t"]))
def test_json(settings: dict[str, Any], new: dict[str, Any], gone: set[str], indent: Any) -> None:
    changes = {**new, **dict.fromkeys(gone & settings.keys() - new.keys())}
    document = JsonDocument(FILE, json.dumps(settings, indent=indent))
    assert said(document) == settings
    assert said(changed(document, changes)) == expected(settings, changes)


@given(SETTINGS, CHANGES)
def test_json_without_a_change_for_the_rest(settings: dict[str, Any], changes: dict[str, Any]) -> None:
    document = JsonDocument(FILE, json.dumps(settings, indent=2) + "\n")
    again = changed(document, changes)
    back = {key: settings.get(key) for key in changes}
    if all(isinstance(data, type(changes[key])) for key, data in back.items()) and list(expected(settings, changes)):
        assert list(said(again)) == list(expected(settings, changes))


@given(SETTINGS, SETTINGS, st.data())
def test_yaml(settings: dict[str, Any], new: dict[str, Any], data: st.DataObject) -> None:
    gone = data.draw(st.sets(st.sampled_from(sorted(settings))))
    changes = {**new, **dict.fromkeys(gone - new.keys())}
    text = written_as_yaml(settings)
    document = YamlDocument(FILE, text)
    assert said(document) == settings
    if not expected(settings, changes):
        return
    again = changed(document, changes)
    assert said(again) == expected(settings, changes)
    kept = [line for line in text.splitlines() if line.startswith("#")]
    assert [line for line in again.text.splitlines() if line.startswith("#")] == kept
    for key in settings.keys() - changes.keys():
        lines = [line for line in text.splitlines() if line.startswith(f"{key}:")]
        assert set(lines) <= set(again.text.splitlines())


@given(SETTINGS, SETTINGS, st.data())
def test_python(settings: dict[str, Any], new: dict[str, Any], data: st.DataObject) -> None:
    gone = data.draw(st.sets(st.sampled_from(sorted(settings))))
    changes = {**new, **dict.fromkeys(gone - new.keys())}
    document = PythonDocument(FILE, written_as_python(settings))
    assert said(document) == settings
    again = changed(document, changes)
    assert said(again) == expected(settings, changes)
    assert again.text.startswith("before = 1\nconfig = Config(\n")
    assert again.text.endswith(")\nafter = 2\n")


WORD = TEXTS.filter(lambda text: not text.startswith("-"))
WORDS = st.dictionaries(KEYS, st.one_of(WORD, st.lists(WORD, min_size=2, max_size=3)), min_size=1, max_size=4)


@given(WORDS, WORDS, st.data())
def test_a_command(settings: dict[str, Any], new: dict[str, Any], data: st.DataObject) -> None:
    gone = data.draw(st.sets(st.sampled_from(sorted(settings))))
    changes = {**new, **dict.fromkeys(gone - new.keys())}
    if not expected(settings, changes):
        return
    empty = CommandDocument(FILE, "#!/bin/sh\ntool run --first 1 \\\n    --last 2\necho done\n")
    document = changed(empty, settings)
    assert said(document) == {"first": "1", "last": "2", **settings}
    again = changed(document, changes)
    assert said(again) == expected({"first": "1", "last": "2", **settings}, changes)
    assert again.text.startswith("#!/bin/sh\ntool run")
    assert again.text.endswith("\necho done\n")


YAML = """\
# what we train
base_model: org/model  # pinned
lora_target_modules:   # all of them
  - q_proj     # queries
  # the keys are left
  - v_proj
  - gate       # a router

lora_r: 16
"""


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{chr(ord(name) - 1)}'] * 9)}]\n" for name in "bcdefg"
)


def lines_that_differ(before: str, after: str) -> set[str]:
    return set(before.splitlines()) ^ set(after.splitlines())


def test_an_item_of_a_yaml_list_goes_and_the_others_stay() -> None:
    document = YamlDocument(FILE, YAML)
    after = document.rewritten(document.sections[0], {"lora_target_modules": ["q_proj", "v_proj"]})
    assert lines_that_differ(YAML, after) == {"  - gate       # a router"}


def test_an_item_comes_behind_the_others_in_their_style() -> None:
    document = YamlDocument(FILE, YAML)
    after = document.rewritten(document.sections[0], {"lora_target_modules": ["q_proj", "v_proj", "gate", "o_proj"]})
    assert after == YAML.replace("# a router\n", "# a router\n  - o_proj\n")


def test_a_yaml_list_becomes_an_expression_and_comments_stay() -> None:
    document = YamlDocument(FILE, YAML)
    after = document.rewritten(document.sections[0], {"lora_target_modules": r".*\.(q|v)_proj", "more": [1]})
    assert after == (
        "# what we train\nbase_model: org/model  # pinned\n"
        "lora_target_modules: '.*\\.(q|v)_proj'   # all of them\n  # the keys are left\nmore: [1]\n\nlora_r: 16\n"
    ) or YamlDocument(FILE, after).sections[0].entries["more"].data == [1]
    assert "# all of them" in after
    assert "# the keys are left" in after


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_end_of_lines_is_the_files_own(newline: str) -> None:
    document = YamlDocument(FILE, YAML.replace("\n", newline))
    after = document.rewritten(document.sections[0], {"lora_target_modules": ["q_proj"], "x": 1})
    assert after.count("\n") == after.count(newline)


def test_what_an_anchor_shares_is_not_changed() -> None:
    document = YamlDocument(FILE, "a: &it [q]\nb: *it\nc: 1\n")
    for key in ("a", "b"):
        with pytest.raises(PlanError, match="anchor"):
            document.rewritten(document.sections[0], {key: ["v"]})
    assert document.rewritten(document.sections[0], {"c": 2}) == "a: &it [q]\nb: *it\nc: 2\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: [1\n", ":2: not YAML"),
        ("a: 1\na: 2\n", ":2: the key a is there twice"),
        ("- a\n", "a mapping of settings"),
        ("", "a mapping of settings"),
        ("a: !!python/object/apply:os.system [ls]\n", "the tag"),
        ("a: !mine x\n", ":1: the tag"),
        ("a: &x [*x]\n", "inside what it stands for"),
        (BOMB, "aliases"),
        ("a: 1\n---\nb: 2\n", "not YAML"),
        ("x: " + "[" * 3000, "not YAML"),
        ("<<: {a: 1}\n", "merge key"),
        ("a: \x00\n", "not YAML"),
    ],
)
def test_yaml_that_is_not_read(text: str, why: str) -> None:
    with pytest.raises(PlanError, match=why) as caught:
        YamlDocument(FILE, text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["{", '{"a": NaN}', "[1]", '{"a": 1, "a": 2}', "[" * 100_000, '{"a": "\n"}'])
def test_json_that_is_not_read(text: str) -> None:
    with pytest.raises(PlanError) as caught:
        JsonDocument(FILE, text)
    assert "\n" not in str(caught.value)
