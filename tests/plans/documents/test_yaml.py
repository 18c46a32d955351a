"""YAML files as people write them: what is read of them, and what an edit leaves as it stood."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archlint.deadline import deadline
from archlint.plans.document import COMPUTED, PlanError
from archlint.plans.documents import open_document
from archlint.plans.documents.yaml_document import YamlDocument

FILE = Path("file.yml")
NAMES = ["q_proj", "k_proj", "v_proj", "o_proj", "it's", "a: b", "#x", "1", "yes", r".*\.(q|v)_proj"]
QUOTES = ["", "'", '"']
ITEMS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=5, unique=True)
PLAIN = "abcdefghijklmnopqrstuvwxyz_"


def rewritten(text: str, changes: Mapping[str, Any]) -> str:
    document = YamlDocument(FILE, text)
    return document.rewritten(document.sections[0], changes)


def said(text: str) -> dict[str, Any]:
    return {key: entry.data for key, entry in YamlDocument(FILE, text).sections[0].entries.items()}


def spelled(item: str, quote: str) -> str:
    if quote == "'":
        return "'" + item.replace("'", "''") + "'"
    return item if not quote and set(item) <= set(PLAIN) and item != "yes" else json.dumps(item)


@dataclass(frozen=True)
class Written:
    """A list as a person wrote it, with the comments that are about none of its items, and about each of them."""

    lines: Sequence[str]
    free: Sequence[str]
    own: Mapping[str, str]


@st.composite
def block_lists(draw: st.DrawFn, items: list[str]) -> Written:
    margin = draw(st.sampled_from(["", "  ", "    "]))
    dash = draw(st.sampled_from(["- ", "-   "]))
    lines, free, own = ["targets:  # whole"], ["# whole"], {}
    for number, item in enumerate(items):
        if draw(st.booleans()):
            free.append(f"# free {number}")
            lines.append(f"{draw(st.sampled_from(['', margin, '      ']))}# free {number}")
        if draw(st.booleans()):
            lines.append("")
        written = spelled(item, draw(st.sampled_from(QUOTES)))
        if draw(st.booleans()):
            own[item] = f"# own {number}"
            written += f" # own {number}"
        is_apart = draw(st.integers(0, 5)) == 0
        lines += [f"{margin}-", f"{margin}  {written}"] if is_apart else [f"{margin}{dash}{written}"]
    return Written(lines, free, own)


@st.composite
def flow_lists(draw: st.DrawFn, items: list[str]) -> Written:
    """Several items may share a line: then its comment is about none of them alone."""
    text, free, own = "targets: [", [], {}
    here: list[str] = []
    if draw(st.booleans()):
        text += draw(st.sampled_from([" ", "\n  ", "  # whole\n  "]))
        free += ["# whole"] if "#" in text else []
    for number, item in enumerate(items):
        here.append(item)
        comma = "," if number + 1 < len(items) or draw(st.booleans()) else ""
        text += spelled(item, draw(st.sampled_from(QUOTES))) + comma
        ending = draw(st.sampled_from(["here", "line", "own", "free"]))
        if ending == "here":
            text += " "
            continue
        if ending == "own" and len(here) == 1:
            own[item] = f"# own {number}"
            text += f"  # own {number}"
        text += "\n  "
        if ending == "free":
            free.append(f"# free {number}")
            text += f"# free {number}\n\n  "
        here = []
    return Written(f"{text}]  # tail".splitlines(), [*free, "# tail"], own)


@st.composite
def files(draw: st.DrawFn, lists: Any) -> tuple[str, Written, list[str]]:
    items = draw(ITEMS)
    written = draw(lists(items))
    shared = ["shared: &d {a: 1, when: 2024-01-01}  # anchor"]
    above = draw(st.sampled_from([[], ["", "# above"], shared]))
    merging = ["datasets:", "  - <<: *d  # merged", "    path: x"] if above is shared else []
    below = draw(st.sampled_from([[], ["", "# below", "lora_r: 8  # rank"], ["note: |+", "  # no comment", "", ""]]))
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    text = newline.join(["first: 1  # one", *above, *written.lines, *merging, *below, ""])
    return text, written, items


@given(st.data(), st.sampled_from([block_lists, flow_lists]))
def test_other_items_and_all_that_is_said_of_them_stay(data: st.DataObject, lists: Any) -> None:
    text, written, items = data.draw(files(lists))
    assert said(text)["targets"] == items
    kept = [item for item in items if data.draw(st.booleans())]
    new = list(kept)
    for item in data.draw(st.lists(st.sampled_from(["new", "x y", "up_proj"]), unique=True, max_size=3)):
        new.insert(data.draw(st.integers(0, len(new))), item)
    after = rewritten(text, {"targets": new})
    assert said(after) == {**said(text), "targets": new}
    found = comments(after)
    assert [comment for comment in found if comment in written.free] == list(written.free)
    assert [comment for comment in found if "own" in comment] == [written.own[i] for i in kept if i in written.own]
    others = [comment for comment in comments(text) if comment not in (*written.free, *written.own.values())]
    assert [comment for comment in found if comment in others] == others
    assert after.count("\n") == after.count("\r\n") or "\r" not in after


@given(st.data(), st.sampled_from([block_lists, flow_lists]))
def test_a_list_becomes_something_else_and_comments_on_lines_of_their_own_stay(data: st.DataObject, lists: Any) -> None:
    text, written, _ = data.draw(files(lists))
    new = data.draw(st.sampled_from(["all-linear", r".*\d", [], {"a": 1}, 3]))
    after = rewritten(text, {"targets": new, "more": ["x"]})
    assert said(after) == {**said(text), "targets": new, "more": ["x"]}
    found = comments(after)
    alone = [comment for comment in written.free if "whole" not in comment or comment == "# whole"]
    assert [comment for comment in found if comment in alone] == alone


@given(st.data(), st.sampled_from([block_lists, flow_lists]))
def test_a_key_goes_with_what_is_said_in_it_and_nothing_else(data: st.DataObject, lists: Any) -> None:
    text, written, _ = data.draw(files(lists))
    after = rewritten(text, {"targets": None})
    assert said(after) == {key: value for key, value in said(text).items() if key != "targets"}
    others = [comment for comment in comments(text) if comment not in (*written.free, *written.own.values())]
    assert [comment for comment in comments(after) if comment in others] == others


@given(st.data(), st.booleans())
def test_entries_of_a_nested_mapping_stay_too(data: st.DataObject, is_block: bool) -> None:
    keys = data.draw(ITEMS)
    old = {key: number for number, key in enumerate(keys)}
    new = {key: data.draw(st.sampled_from([old[key], 64])) for key in keys if data.draw(st.booleans())} | {"new": 1}
    pairs = [f"{spelled(key, '')}: {number}" for key, number in old.items()]
    lines = [f"  {pair}{'' if is_block else ','}  # own {number}" for number, pair in enumerate(pairs)]
    text = "\n".join(["first: 1", *(["p:", *lines] if is_block else ["p: {", *lines, "}"]), "last: 2", ""])
    after = rewritten(text, {"p": new})
    assert said(after) == {"first": 1, "p": new, "last": 2}
    assert comments(after) == [f"# own {number}" for number, key in enumerate(keys) if key in new]
    assert ("{" in after) == (not is_block)


def comments(text: str) -> list[str]:
    return [comment for _, comment in YamlDocument(FILE, text).comments()]


def test_comments_are_told_from_text_that_looks_like_them() -> None:
    text = "# a\na: '# no'  # b\nb: x#no\nc: |  # c\n  # no\nd: [1,# d\n  '#'] # e\nf: >\n  x\n\n# f\n  # g\n"
    assert comments(text) == ["# a", "# b", "# c", "# d", "# e", "# f", "# g"]


FLOW = """\
base_model: m
lora_target_modules: [q_proj,  # the query
  # k_proj hurt on task X
  v_prj]  # tail
lora_r: 8
"""


def test_an_item_of_a_list_between_brackets_is_changed_alone() -> None:
    after = rewritten(FLOW, {"lora_target_modules": ["q_proj", "v_proj"]})
    assert after == FLOW.replace("v_prj", "v_proj")


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("[a, b, c]", "ac", "[a, c]"),
        ("[a, b, c]", "ab", "[a, b]"),
        ("[a, b, c]", "bc", "[b, c]"),
        ("[ a, b ]", "a", "[ a ]"),
        ("[a, b,]", "bx", "[b, x,]"),
        ("[a, b]", "axb", "[a, x, b]"),
        ("[a, b]", "xab", "[x, a, b]"),
        ("[a,\n  b]", "a", "[a]"),
        ("[a,\n  b]", "abx", "[a,\n  b,\n  x]"),
        ("[\n  a,\n  b\n]", "a", "[\n  a\n]"),
        ("[\n  a,\n  b,\n]", "bx", "[\n  b,\n  x,\n]"),
        ("[\n  a, # 1\n  b # 2\n]", "a", "[\n  a # 1\n]"),
        ("[\n  a # 1\n  , b # 2\n]", "abx", "[\n  a # 1\n  , b, # 2\n  x\n]"),
        ("[a, # 1\n  b]", "axb", "[a, # 1\n  x,\n  b]"),
        ("[a,# 1\n  b]", "a", "[a # 1\n  ]"),
    ],
)
def test_layouts_between_brackets(old: str, new: str, text: str) -> None:
    assert rewritten(f"k: {old}\n", {"k": list(new)}) == f"k: {text}\n"


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("\n  -\n    a\n  - b\n", ["b", "c"], "\n  - b\n  - c\n"),
        ("\n  -\n    a\n  -\n    b\n", ["x", "z"], "\n  - x\n  - z\n"),
        ("\n  -  # one\n    a\n  - b\n", ["a", "c"], "\n  -  # one\n    a\n  - c\n"),
        ("\n-\n  a\n", ["a", "c"], "\n-\n  a\n- c\n"),
        ("\n  - a\n  -\n", ["a"], "\n  - a\n"),
        ("\n  - a # 1\n  - b # 2\n  - c # 3\n", ["a", "x", "c"], "\n  - a # 1\n  - x\n  - c # 3\n"),
        ("\n  # of a\n  - a\n", ["x", "a"], "\n  - x\n  # of a\n  - a\n"),
        ("\n  - - 0\n    - 4\n  - [2, 6]\n", [[0, 4], [1, 2]], "\n  - - 0\n    - 4\n  - [1, 2]\n"),
        ("\n  q: 1\n  k: 2 # c\n", {"q": 4}, "\n  q: 4\n"),
        ("\n  q: 1 # c\n", {"q": 4, "v": 2}, "\n  q: 4 # c\n  v: 2\n"),
        (" {q: 1}\n", {"q": 4}, " {q: 4}\n"),
        (" |  # why\n  a\n  b\n\n", "c", " c  # why\n\n"),
        (" [a,\n  # one\n  b]  # two\n", "c", " c  # two\n"),
    ],
)
def test_layouts_of_blocks(old: str, new: Any, text: str) -> None:
    after = rewritten(f"k:{old}z: 1\n", {"k": new})
    assert after.removeprefix("  # one\n").removeprefix("# one\n") == f"k:{text}z: 1\n"


@pytest.mark.parametrize(
    "text",
    [
        "? k\n: - a\n  - b\nx: 1\n",
        "k:\n  - &a q\n  - b\nx: *a\n",
        "k: [&a q, b]\nx: *a\n",
        "x: &a q\nk:\n  - *a\n  - b\n",
        "k: a\rx: 1\r",
    ],
)
def test_what_cannot_be_changed_alone_is_refused(text: str) -> None:
    with pytest.raises(PlanError) as caught:
        rewritten(text, {"k": ["b"]})
    assert "\n" not in str(caught.value)


def test_what_an_anchor_is_needed_for_stays() -> None:
    text = "k:\n  - &a q\n  - b\nx: *a\n"
    assert rewritten(text, {"k": ["q", "c"]}) == text.replace("- b", "- c")


@pytest.mark.parametrize("end", ["", "\n", "\n\n\n"])
def test_a_text_that_keeps_its_last_lines_keeps_them(end: str) -> None:
    text = f"x: 1\nnote: |+\n  abc\n{end}"
    assert said(rewritten(text, {"k": 1})) == {**said(text), "k": 1}


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("d: &d {a: 1}\nk:\n  - <<: *d\n    path: x\n", {"d": {"a": 1}, "k": [{"a": 1, "path": "x"}]}),
        ("k: {a: 2, <<: [{a: 1, b: 1}, {b: 2}]}\n", {"k": {"a": 2, "b": 1}}),
        ("k: 2024-01-01\nx: !!set {a, b}\n", {"k": "2024-01-01", "x": {"a": None, "b": None}}),
        ("k: !!binary aGk=\nx: !!omap [a: 1]\n", {"k": COMPUTED, "x": [{"a": 1}]}),
        ("on: 1\n3: x\n", {"on": 1, "3": "x"}),
        ("k: {1: a, [2]: b}\n", {"k": {"1": "a", "[2]": "b"}}),
    ],
)
def test_what_else_may_stand_in_a_file(text: str, data: Any) -> None:
    assert said(text) == data


@pytest.mark.parametrize("text", ["k: {<<: 1}\n", "a: 1\n<<: &d {b: 1}\n", "k: {<<: [1]}\n", "x: {y: !mine 1}\n"])
def test_what_no_trainer_reads_is_refused(text: str) -> None:
    with pytest.raises(PlanError, match=r":[12]: "):
        YamlDocument(FILE, text)


def test_aliases_in_merges_are_counted_too() -> None:
    text = "a: &a {k: [1,2,3,4,5,6,7,8,9]}\nb: &b [{<<: *a}, {<<: *a}, {<<: *a}]\n"
    text += "".join(f"{name}: &{name} [{','.join([f'*{chr(ord(name) - 1)}'] * 9)}]\n" for name in "cdefg")
    with pytest.raises(PlanError, match="aliases"):
        YamlDocument(FILE, text)


@pytest.mark.parametrize("line", ["\n", "a=b\n", "a=b \n", "  \n", "python\t\n", "trl\n", "a=b c=d "])
def test_what_a_file_is_takes_a_time_in_proportion_to_its_length(tmp_path: Path, line: str) -> None:
    file = tmp_path / "file.yml"
    file.write_text(": x\n" + line * 60_000)
    with contextlib.suppress(PlanError), deadline(60, AssertionError):  # what is quadratic takes minutes
        open_document(file)


def test_a_list_nested_deeply_is_read_once() -> None:
    depth = 60
    text = "a: " + "[" * depth + ", ".join(["x"] * 2000) + "]" * depth + "\n"
    with deadline(60, AssertionError):  # twice a level would take for ever
        YamlDocument(FILE, text)


def test_a_new_key_comes_behind_a_list_that_grows_in_the_last_line() -> None:
    document = YamlDocument(Path("f"), "adapter: lora\ntargets:\n  - q")
    (section,) = document.sections
    after = document.rewritten(section, {"targets": ["q", "v"], "dropout": 0.0})
    assert after.splitlines() == ["adapter: lora", "targets:", "  - q", "  - v", "dropout: 0.0"]


def test_single_letters_are_texts_as_in_pyyaml() -> None:
    document = YamlDocument(Path("f"), "a: [y, n, v, yes, off]\n")
    assert document.sections[0].entries["a"].data == ["y", "n", "v", True, False]


@pytest.mark.parametrize("number", ["0x" + "f" * 6000, "1" + "0" * 400, "0b" + "1" * 20_000, "1" + ":59" * 1000])
def test_a_number_beyond_all_floats_is_none(number: str) -> None:
    with pytest.raises(PlanError, match=r"file\.yml:2: '.* is no int") as caught:
        YamlDocument(FILE, f"adapter: lora\nlora_r: {number}\n")
    assert len(str(caught.value)) < 200


def test_an_anchor_that_is_set_again_is_no_matter_for_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    assert said("a: &x [q]\nb: &x [v]\nc: *x\n") == {"a": ["q"], "b": ["v"], "c": ["v"]}
    assert capfd.readouterr() == ("", "")
