"""``archlint cache``."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from archlint.store import LIMIT, Store, default_folder

from .conftest import Call


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Two results, and no limit that is set."""
    monkeypatch.setenv("ARCHLINT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("ARCHLINT_CACHE_LIMIT", raising=False)
    kept = Store(default_folder())
    for key in ("a", "b"):
        kept.put(key, bytes(range(256)) * 2 + key.encode())
    return kept


def test_what_is_kept(call: Call, kept: Store, tmp_path: Path) -> None:
    result = call("cache")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        f"folder   {tmp_path}/cache/results",
        f"holds    2 results, {kept.usage().bytes} bytes",
        "limit    1.07 GB",
    ]


def test_what_is_kept_for_programs(call: Call, kept: Store) -> None:
    entries, size = kept.usage()
    assert json.loads(call("cache", "--format", "json").stdout) == {
        "folder": str(kept.folder),
        "entries": entries,
        "bytes": size,
        "limit": LIMIT,
    }


def test_it_is_cleared(call: Call, kept: Store) -> None:
    size = kept.usage().bytes
    result = call("cache", "--clear")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == f"removed  2 results, {size} bytes"
    assert result.stdout.splitlines()[2] == "holds    0 results, 0 bytes"
    assert kept.get("a") is None
    kept.put("a", b"anew")
    document = json.loads(call("cache", "--clear", "--format", "json").stdout)
    assert document["removed"]["entries"] == 1
    assert (document["entries"], document["bytes"]) == (0, 0)


@pytest.mark.parametrize("arguments", [[], ["--clear"]], ids=" ".join)
def test_there_is_none(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "missing", tmp_path / "file"):
        monkeypatch.setenv("ARCHLINT_CACHE_DIR", str(place))
        result = call("cache", *arguments)
        assert (result.exit_code, result.stderr) == (0, "")
        assert "holds    0 results, 0 bytes" in result.stdout
    assert not (tmp_path / "missing").exists()


def test_a_limit_is_shown(call: Call, kept: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHLINT_CACHE_LIMIT", "500M")
    assert call("cache").stdout.splitlines()[-1] == "limit    500 MB"


def test_a_limit_that_is_none_is_wrong_usage(call: Call, kept: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHLINT_CACHE_LIMIT", "much")
    result = call("cache", "--clear")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines()[0] == "error: ARCHLINT_CACHE_LIMIT: 'much' is no size, such as 500M or 2GiB"
    assert kept.usage().entries == 2


def test_it_is_no_source(call: Call, kept: Store) -> None:
    result = call("cache", "org/model")
    assert result.exit_code == 2
    assert "unexpected extra argument" in result.stderr


def test_nothing_heavy_is_imported(python: list[str], kept: Store) -> None:
    command = [python[0], "-X", "importtime", *python[1:], "cache"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert str(kept.folder) in done.stdout
    names = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "archlint.store" in names
    assert {"torch", "transformers", "accelerate", "peft", "trl", "huggingface_hub"}.isdisjoint(names)
