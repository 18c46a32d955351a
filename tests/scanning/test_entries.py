"""Lists in every form, and lines that nobody meant."""

from __future__ import annotations

import io
import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archlint.scanning import entries
from archlint.scanning.entries import Entry, Shard, listed, named, wanted


def lines(text: str | bytes, *, on_hub: bool = False) -> list[Entry]:
    content = text if isinstance(text, bytes) else text.encode()
    return list(listed(io.BytesIO(content), "list", on_hub=on_hub))


def names(found: Sequence[Entry]) -> list[str]:
    return [entry.source for entry in found]


def test_a_source_a_line() -> None:
    text = "\ufeffQwen/Qwen3-8B\r\n\n  # a comment\n./my model  # mine\n#\n\ttype:llama\norg/a#b"
    assert names(lines(text)) == ["Qwen/Qwen3-8B", "./my model", "type:llama", "org/a#b"]
    assert not any(entry.problem for entry in lines(text))


def test_json_lines() -> None:
    config = {"model_type": "gpt2", "n_layer": 1}
    said = [
        '"org/a"',
        {"source": "org/b", "revision": "main", "subfolder": "text"},
        {"id": "org/c"},
        {"modelId": "org/d", "revision": None},
        {"id": "org/e", "config": config},
        {"config": config},
    ]
    text = "\n".join(one if isinstance(one, str) else json.dumps(one) for one in said)
    assert lines(text) == [
        Entry("org/a"),
        Entry("org/b", revision="main", subfolder="text"),
        Entry("org/c"),
        Entry("org/d"),
        Entry("org/e", config=config),
        Entry("list:6", config=config),
    ]


def test_the_excerpt_of_a_config_that_the_hub_lists_is_no_config() -> None:
    listed_by_hub = json.dumps({"id": "org/a", "tags": [], "downloads": 3, "config": {"model_type": "gpt2"}})
    assert lines(listed_by_hub) == [Entry("org/a")]
    plain = json.dumps({"id": "org/a", "config": {"model_type": "gpt2"}})
    assert lines(plain, on_hub=True) == [Entry("org/a", on_hub=True)]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "the line is no JSON: {"),
        ('{"source": "a"', "the line is no JSON"),
        ("[" * 100_000, "the line is no JSON"),
        ('["a"]', "a text or an object is expected"),
        ('""', "a text or an object is expected"),
        ("{}", "the object has none of source, id, modelId"),
        ('{"source": ["a"]}', "a name is no text"),
        ('{"id": "a", "revision": 3}', "a name is no text"),
        ('{"id": "a", "config": "b"}', "config is no object"),
        ("x" * 5000, "the name is too long"),
        ('{"source": "' + "x" * 5000 + '"}', "the name is too long"),
    ],
)
def test_a_line_that_names_nothing_is_told_with_its_place(line: str, problem: str) -> None:
    (before, bad, after) = lines(f"a\n{line}\nb")
    assert (before, after) == (Entry("a"), Entry("b"))
    assert bad.source == "list:2"
    assert bad.problem.startswith(problem)
    assert len(bad.problem) < 200


def test_a_line_without_an_end_is_not_kept_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "_LONGEST_LINE", 100)
    found = lines(f"a\n{'x' * 1000}\nb\n{'y' * 99}\n{'z' * 250}")
    assert names(found) == ["a", "list:2", "b", "y" * 99, "list:5"]
    assert [bool(entry.problem) for entry in found] == [False, True, False, False, True]


@given(st.binary(max_size=300))
def test_whatever_a_list_holds_its_entries_have_ids_and_can_be_told(content: bytes) -> None:
    for entry in lines(content):
        assert len(entry.id) == 16
        assert json.loads(json.dumps(entry.source)) == entry.source


def test_names_that_are_no_text_keep_their_bytes(tmp_path: Path) -> None:
    (entry,) = lines(b"caf\xe9")
    assert entry.source.encode("utf-8", "surrogateescape") == b"caf\xe9"


@given(st.text(max_size=20), st.integers(1, 9))
def test_shards_are_disjoint_and_complete(source: str, of: int) -> None:
    assert sum(Entry(source).is_in(Shard(number, of)) for number in range(1, of + 1)) == 1


def test_shards_are_of_about_the_same_size_and_stay_the_same() -> None:
    every = [Entry(f"org/model-{number}") for number in range(3000)]
    sizes = [sum(entry.is_in(Shard(number, 3)) for entry in every) for number in (1, 2, 3)]
    assert min(sizes) > 900
    assert Entry("org/model-0").is_in(Shard(3, 3)), "in this version and in all others"


def test_entries_differ_by_what_is_scanned() -> None:
    different = [
        Entry("a"),
        Entry("b"),
        Entry("a", revision="main"),
        Entry("a", subfolder="main"),
        Entry("a", config={"model_type": "a"}),
    ]
    assert len({entry.id for entry in different}) == len(different)
    assert Entry("a", on_hub=True).id == Entry("a").id


def test_arguments(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a\nb")
    (tmp_path / "list.jsonl").write_text('"c"\n{"id": "d"}')
    (tmp_path / "hub.txt").write_text("org/e")
    model = tmp_path / "models" / "f"
    model.mkdir(parents=True)
    (model / "config.json").write_text('{"model_type": "gpt2"}')
    found = list(
        wanted(
            [
                str(tmp_path / "list.txt"),
                "-",
                str(tmp_path / "list.jsonl"),
                str(tmp_path / "models"),
                str(model / "config.json"),
                "type:gpt2",
                str(tmp_path / "not-there.txt"),
                "no\0path",
            ],
            [tmp_path / "hub.txt"],
            io.BytesIO(b"from a pipe\n"),
            all_types=False,
        )
    )
    assert names(found) == [
        "a",
        "b",
        "from a pipe",
        "c",
        "d",
        str(model),
        str(model / "config.json"),
        "type:gpt2",
        str(tmp_path / "not-there.txt"),
        "no\0path",
        "org/e",
    ]
    assert [entry.on_hub for entry in found] == [False] * 10 + [True]


def test_every_type_is_there_sorted() -> None:
    found = names(list(entries.every_type()))
    assert found == sorted(found)
    assert {"type:gpt2", "type:llama"} <= set(found)


def test_a_list_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (entry,) = entries.from_file(tmp_path / "gone")
    assert entry.problem == "the list cannot be read: No such file or directory"


@pytest.mark.parametrize("name", ["models.txt", "gone/models.JSONL"])
def test_a_list_that_is_not_there_is_no_model_of_the_hub(name: str, tmp_path: Path) -> None:
    (entry,) = named(str(tmp_path / name), io.BytesIO())
    assert entry == Entry(str(tmp_path / name), problem="there is no such list")


def test_a_folder_without_models_is_told(tmp_path: Path) -> None:
    (entry,) = named(str(tmp_path), io.BytesIO())
    assert entry == Entry(str(tmp_path), problem="no folder in it has the config.json of a model")


def test_a_pipe_is_a_list_that_is_read_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    threading.Thread(target=pipe.write_text, args=("a\nb\n",), daemon=True).start()
    assert names(list(named(str(pipe), io.BytesIO()))) == ["a", "b"]
    assert not entries.can_be_read_again([str(pipe)], [])
    assert not entries.can_be_read_again(["a", "-"], [])
    assert entries.can_be_read_again(["a", str(tmp_path)], [tmp_path / "hub"])
