"""What a name means where the hub has nothing to say."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version

import pytest

from archlint.sources import Source, SourceError, SourceOptions, resolve, snapshots


@pytest.fixture
def offline(options: SourceOptions) -> SourceOptions:
    return replace(options, offline=True)


def refusal(name: str, options: SourceOptions) -> str:
    with pytest.raises(SourceError) as caught:
        resolve(name, options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["type:llama", "type:Llama", "type:LLAMA"])
def test_a_type(name: str, offline: SourceOptions) -> None:
    assert resolve(name, offline) == Source(name, "llama", "type", {"model_type": "llama"})


def test_an_unknown_type_names_the_version_and_what_is_close(offline: SourceOptions) -> None:
    message = refusal("type:lama", offline)
    assert message.startswith(f"transformers {version('transformers')} has no model type 'lama'; did you mean llama")
    assert refusal("type:", offline).startswith(f"transformers {version('transformers')} has no model type ''")


def test_a_bare_name_is_taken_as_a_type_and_says_so(offline: SourceOptions) -> None:
    source = resolve("llama", offline)
    assert (source.origin, source.config) == ("type", {"model_type": "llama"})
    taken, published = source.notes
    assert taken == "offline; llama is taken as the model type llama, with its default sizes and parts"
    assert published.endswith("is bundled")
    assert "meta-llama/" in published


def test_a_bare_name_is_a_known_repository_before_it_is_a_type(offline: SourceOptions) -> None:
    source = resolve("gpt2", offline)
    assert (source.origin, source.id) == ("snapshot", "openai-community/gpt2")
    assert source.notes == ("offline; the bundled snapshot of openai-community/gpt2 was used",)


@pytest.mark.parametrize("name", ["Qwen/Qwen3-8B", "qwen/qwen3-8b", "Qwen/Qwen3-8B-Base"])
def test_a_snapshot_by_any_of_its_names(name: str, offline: SourceOptions) -> None:
    source = resolve(name, offline)
    snapshot = snapshots.find("Qwen/Qwen3-8B")
    assert snapshot is not None
    assert (source.name, source.id, source.config) == (name, "Qwen/Qwen3-8B", snapshot.config)


@pytest.mark.parametrize("name", ["google/gemma-4", "Google/Gemma-4", "gemma-4"])
def test_a_family_names_its_representative_and_the_others(name: str, offline: SourceOptions) -> None:
    source = resolve(name, offline)
    assert (source.name, source.id, source.origin) == (name, "google/gemma-4-E2B-it", "snapshot")
    assert {"google/gemma-4-E4B-it", "google/gemma-4-26B-A4B-it", "google/gemma-4-31B-it"} <= set(source.family)
    assert source.id not in source.family
    assert "google/gemma-4 is a family; its representative google/gemma-4-E2B-it was taken" in source.notes


def test_a_repository_name_alone_is_enough_where_it_is_the_only_one(offline: SourceOptions) -> None:
    source = resolve("qwen3-8b", offline)
    assert source.id == "Qwen/Qwen3-8B"
    assert source.notes[0] == "qwen3-8b is taken as Qwen/Qwen3-8B"


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("google/gemma-4-E2B-itt", "google/gemma-4-E2B-it"),
        ("googel/gemma-4", "google/gemma-4"),
        ("QWEN/QWEN3-9B", "Qwen/Qwen3-8B"),
        ("lama", "type:llama"),
        ("Qwen3-8", "Qwen/Qwen3-8B"),
    ],
)
def test_an_unknown_name_gets_what_is_close(name: str, suggestion: str, offline: SourceOptions) -> None:
    message = refusal(name, offline)
    assert f"{name} is neither in the hub's cache nor among the bundled snapshots" in message
    assert suggestion in message.partition("did you mean ")[2]


def test_nothing_is_suggested_where_nothing_is_close(offline: SourceOptions) -> None:
    assert "did you mean" not in refusal("zzzzzzzzzz/qqqqqqqq", offline)


@pytest.mark.parametrize(
    "name",
    [
        *("a b", "org/na me", "foo--bar", "-x", "org/x@main", "x" * 97, "a..b", "x.git"),
        pytest.param("ü/ü", marks=pytest.mark.since("huggingface_hub", "1.32", "names are ASCII")),
    ],
)
def test_a_name_that_no_repository_can_have(name: str, options: SourceOptions) -> None:
    assert "is neither an existing path nor a name that a repository can have" in refusal(name, options)


@pytest.mark.parametrize("name", ["", " "])
def test_no_name(name: str, options: SourceOptions) -> None:
    assert "has no name" in refusal(name, options)


@pytest.mark.parametrize(
    ("address", "hint"),
    [
        ("https://huggingface.co/google/gemma-2-2b", "the repository's id: google/gemma-2-2b"),
        ("https://huggingface.co/google/gemma-2-2b/blob/main/config.json", "the repository's id: google/gemma-2-2b"),
        ("https://hf.co/org/x?tab=files", "the repository's id: org/x"),
        ("hf://org/x@main", "the repository's id: org/x"),
        ("https://example.org/config.json", "download the file and give its path"),
    ],
)
def test_an_address(address: str, hint: str, options: SourceOptions) -> None:
    assert hint in refusal(address, options)


def test_nothing_heavy_is_imported_and_nothing_is_printed() -> None:
    code = (
        "import sys; from archlint.sources import *\n"
        "for name in ('google/gemma-4', 'type:llama', 'llama'): resolve(name, SourceOptions(offline=True))\n"
        "try: resolve('lama', SourceOptions(offline=True))\n"
        "except SourceError: print({'torch', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("set()\n", "")
