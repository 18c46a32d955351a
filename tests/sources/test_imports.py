"""To find a source takes no library that is slow to import, wherever its answer can be had without one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import HFValidationError
from hypothesis import example, given
from hypothesis import strategies as st

from archlint.sources import SourceError, SourceOptions, hub, model_types, network

COMMIT = "c0ffee" + "0" * 34
HEAVY = {
    "torch", "transformers", "huggingface_hub.file_download", "huggingface_hub.hf_api", "httpx", "httpx2", "difflib",
    "urllib.request",
}  # fmt: skip


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A hub cache with the configuration of ``org/held``."""
    folder = tmp_path / "hub" / "models--org--held"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(COMMIT)
    (folder / "snapshots" / COMMIT).mkdir(parents=True)
    (folder / "snapshots" / COMMIT / "config.json").write_text(json.dumps({"model_type": "llama"}))
    return folder.parent


@pytest.mark.parametrize(
    ("name", "origin"),
    [
        ("google/gemma-4", "snapshot"),
        ("Qwen/Qwen3-0.6B", "snapshot"),
        ("org/held", "cache"),
        ("type:llama", "type"),
        ("llama", "type"),
        ("folder", "local"),
    ],
)
@pytest.mark.parametrize("offline", [True, False])
def test_what_is_at_hand(name: str, origin: str, offline: bool, cache: Path, tmp_path: Path, closed_port: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "config.json").write_text(json.dumps({"model_type": "llama"}))
    code = (
        "import sys; from archlint.sources import SourceOptions, resolve\n"
        f"print(resolve({name!r}, SourceOptions(offline={offline})).origin, {HEAVY!r} & set(sys.modules))"
    )
    environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    environment |= {"HF_HUB_CACHE": str(cache), "HF_ENDPOINT": closed_port}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == (f"{origin} set()\n", "")


@given(st.text(st.sampled_from("abZ09-._/é "), min_size=1, max_size=12) | st.text(max_size=100))
@example("a" * 96)
@example("a" * 97)
@example("org/model.git")
@example("org/model_.x")
@example("org/model\n")
def test_a_name_is_refused_where_huggingface_hub_refuses_it(name: str) -> None:
    try:
        hf_hub_url(name, "config.json")
    except HFValidationError:
        with pytest.raises(SourceError):
            hub.check_id(name)
    else:
        hub.check_id(name)


def test_the_cache_holds_what_huggingface_hub_finds_there(cache: Path) -> None:
    folder = cache / "models--org--held"
    (folder / "refs" / "refs").mkdir()
    (folder / "refs" / "refs" / "pr").mkdir()
    (folder / "refs" / "refs" / "pr" / "1").write_text(COMMIT)
    (folder / "refs" / "gone").write_text("1" * 40)
    (folder / "refs" / "odd").write_text("odd")
    (folder / "snapshots" / "odd").mkdir()
    (folder / "snapshots" / "odd" / "config.json").write_text("{}")
    (folder / ".no_exist" / COMMIT / "text").mkdir(parents=True)
    (folder / ".no_exist" / COMMIT / "text" / "config.json").touch()
    (cache / "models--org--empty").mkdir()
    found = 0
    for repository in ("org/held", "org/empty", "org/none", "none"):
        for revision in (None, "main", "refs/pr/1", "gone", "odd", "none", COMMIT, "1" * 40, COMMIT[:8]):
            for file in ("config.json", "text/config.json", "none.json"):
                options = SourceOptions(cache_dir=cache, revision=revision)
                theirs = try_to_load_from_cache(repository, file, cache_dir=cache, revision=revision)
                assert hub._in_cache(repository, file, options) == theirs
                found += isinstance(theirs, str)
    assert found == 5


def test_a_proxy_is_asked_for_where_one_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert network._first_hop("https://hub.invalid") == ("hub.invalid", 443)
    monkeypatch.setenv("Https_Proxy", "proxy.invalid:3128")
    assert network._first_hop("https://hub.invalid") == ("proxy.invalid", 3128)


@pytest.mark.parametrize(
    "source",
    [
        'CONFIG_MAPPING_NAMES = OrderedDict(\n    [\n        ("a", "A"),\n\n        # \n        ("b", "B"),\n    ]\n)\n'
        'OTHERS = OrderedDict([("c", "C")])\n',
        'if True:\n    pass\nCONFIG_MAPPING_NAMES: dict[str, str] = {\n    "a": "A",\n}\n\n'
        'CONFIG_MAPPING_NAMES.update({"b": "B"})\nOTHERS = {"c": "C"}',
        'CONFIG_MAPPING_NAMES = {"a": """\nA""", "b": "B"}\n',
        'CONFIG_MAPPING_NAMES = {"a": "A", "b": "B"}',
    ],
)
def test_the_mapping_is_told_from_what_stands_around_it(source: str, tmp_path: Path) -> None:
    (tmp_path / "auto.py").write_text(source)
    assert set(model_types._types_in(tmp_path / "auto.py")) == {"a", "b"}
