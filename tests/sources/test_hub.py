"""The hub's answers and silences, asked through ``resolve``, with a hub on this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from archlint.sources import Source, SourceError, SourceOptions, hub, network, resolve

CONFIG = {"model_type": "llama", "hidden_size": 64}
COMMIT = "c0ffee" + "0" * 34
BUNDLED = "google/gemma-2-2b"
CODE: dict[str, Any] = {
    "config.json": {"auto_map": {"AutoConfig": "configuration.Config", "AutoModel": "modeling.Model"}},
    "configuration.py": "class Config: ...",
    "modeling.py": "from .layers import Norm\nfrom .configuration import Config\nfrom . import layers",
    "layers.py": "from .missing import nothing",
    "train.py": "raise SystemExit",
    "model.safetensors": "weights",
}


@pytest.fixture(autouse=True)
def _nothing_asked_or_said(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever happens, nobody is asked and nothing is printed."""

    def asked(*arguments: object) -> str:
        raise AssertionError("standard input was asked")

    monkeypatch.setattr("builtins.input", asked)
    yield
    assert capfd.readouterr() == ("", "")


def refusal(name: str, options: SourceOptions) -> str:
    with pytest.raises(SourceError) as caught:
        resolve(name, options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestFound:
    def test_it_gives_the_config_and_the_commit(self, stub_hub: Any, options: SourceOptions) -> None:
        stub_hub.put("org/model", {"config.json": CONFIG, "model.safetensors": "weights", "modeling.py": "pass"})
        source = resolve("org/model", options)
        assert source == Source("org/model", "org/model", "hub", CONFIG, revision=COMMIT)
        assert stub_hub.fetched == ["config.json"]

    def test_a_revision_and_a_subfolder_are_asked_for(self, stub_hub: Any, options: SourceOptions) -> None:
        stub_hub.put("org/model", {"text/encoder/config.json": CONFIG})
        source = resolve("org/model", replace(options, revision="v1", subfolder="text/encoder/"))
        assert (source.config, source.revision) == (CONFIG, "1" * 40)
        assert stub_hub.fetched == ["text/encoder/config.json"]

    def test_a_name_without_organisation_is_a_repository_first(self, stub_hub: Any, options: SourceOptions) -> None:
        stub_hub.add("gpt2", config__json=CONFIG)
        source = resolve("gpt2", options)
        assert (source.origin, source.config) == ("hub", CONFIG)

    def test_what_it_gives_is_checked(self, stub_hub: Any, options: SourceOptions) -> None:
        stub_hub.add("org/broken", config__json="{")
        stub_hub.add("org/absurd", config__json={"model_type": "llama", "hidden_size": -1})
        stub_hub.add("org/untyped", config__json={"hidden_size": 1})
        assert "is not JSON" in refusal("org/broken", options)
        assert "config.json of org/absurd: hidden_size is -1" in refusal("org/absurd", options)
        assert "config.json of org/untyped has no model_type" in refusal("org/untyped", options)

    def test_a_huge_file_is_not_fetched(self, stub_hub: Any, options: SourceOptions) -> None:
        stub_hub.add("org/model", config__json=CONFIG)
        stub_hub.headers["X-Linked-Size"] = "20000001"
        assert "larger than 20 MB" in refusal("org/model", options)
        assert stub_hub.fetched == []

    def test_the_environment_decides_in_a_fresh_process(self, stub_hub: Any, tmp_path: Path) -> None:
        stub_hub.add("org/model", config__json=CONFIG)
        code = (
            "import sys; from archlint.sources import resolve; source = resolve('org/model');"
            "print(source.origin, source.revision, {'torch', 'transformers'} & set(sys.modules))"
        )
        environment = {**os.environ, "HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": stub_hub.address}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=True
        )
        assert (done.stdout, done.stderr) == (f"hub {COMMIT} set()\n", "")
        assert any((tmp_path / "home").rglob("config.json"))


class TestCode:
    @pytest.mark.parametrize("trusted", [False, True])
    def test_it_is_left_alone_where_transformers_has_the_type(
        self, stub_hub: Any, options: SourceOptions, trusted: bool
    ) -> None:
        stub_hub.put("org/custom", {**CODE, "config.json": {**CODE["config.json"], "model_type": "llama"}})
        source = resolve("org/custom", replace(options, trust_remote_code=trusted))
        assert source.folder is None
        assert stub_hub.fetched == ["config.json"]

    @pytest.mark.parametrize("trusted", [False, True])
    def test_what_auto_map_names_and_imports_is_fetched(
        self, stub_hub: Any, options: SourceOptions, trusted: bool
    ) -> None:
        stub_hub.put("org/custom", CODE)
        source = resolve("org/custom", replace(options, trust_remote_code=trusted))
        assert sorted(stub_hub.fetched) == ["config.json", "configuration.py", "layers.py", "modeling.py"]
        assert source.folder is not None
        assert (source.folder / "modeling.py").read_text() == CODE["modeling.py"]

    def test_it_is_there_offline_afterwards(self, stub_hub: Any, options: SourceOptions) -> None:
        stub_hub.put("org/custom", CODE)
        trusting = replace(options, trust_remote_code=True)
        online = resolve("org/custom", trusting)
        assert resolve("org/custom", replace(trusting, offline=True)).folder == online.folder

    def test_it_may_lie_in_another_repository(self, stub_hub: Any, options: SourceOptions) -> None:
        stub_hub.add("org/model", config__json={"auto_map": {"AutoModel": "org/code--modeling.Model"}})
        stub_hub.put("org/code", {"modeling.py": "from .layers import Norm", "layers.py": "pass"})
        source = resolve("org/model", replace(options, trust_remote_code=True))
        assert sorted(stub_hub.fetched) == ["config.json", "layers.py", "modeling.py"]
        assert source.notes == ("its code comes from another repository, org/code",)

    @pytest.mark.parametrize(
        ("reference", "message"),
        [
            ("org/nowhere--modeling.Model", "the code of org/model: there is no file or folder org/nowhere"),
            ("org/gated--modeling.Model", "the code of org/model: org/gated is gated; accept its terms"),
            ("no name--modeling.Model", "the code of org/model: no name is no name of a repository"),
        ],
    )
    def test_code_that_cannot_be_had(self, stub_hub: Any, options: SourceOptions, reference: str, message: str) -> None:
        stub_hub.add("org/model", config__json={"auto_map": {"AutoModel": reference}})
        stub_hub.gated.add("org/gated")
        assert refusal("org/model", replace(options, trust_remote_code=True)).startswith(message)
        assert resolve("org/model", options).origin == "hub"  # what is not to be run need not be there

    @pytest.mark.parametrize("reference", ["missing.Model", "../../modeling.Model"])
    def test_a_named_file_that_is_not_there_is_left_to_who_needs_it(
        self, stub_hub: Any, options: SourceOptions, reference: str
    ) -> None:
        stub_hub.add("org/model", config__json={"model_type": "own", "auto_map": {"AutoModel": reference}})
        assert resolve("org/model", replace(options, trust_remote_code=True)).origin == "hub"
        assert stub_hub.fetched == ["config.json"]

    def test_a_huge_file_of_code_is_not_fetched(self, stub_hub: Any, options: SourceOptions, monkeypatch: Any) -> None:
        monkeypatch.setattr(hub, "_LARGEST_CODE_FILE", 60)
        stub_hub.put("org/custom", {**CODE, "modeling.py": CODE["modeling.py"] + "#" * 60})
        assert "modeling.py is larger than any code" in refusal("org/custom", options)
        assert "modeling.py" not in stub_hub.fetched

    def test_code_without_end_is_refused(self, stub_hub: Any, options: SourceOptions, monkeypatch: Any) -> None:
        monkeypatch.setattr(hub, "_MOST_CODE_FILES", 3)
        modules = {f"m{i}.py": f"from .m{i + 1} import x" for i in range(9)}
        stub_hub.put("org/custom", {"config.json": {"auto_map": {"AutoModel": "m0.Model"}}, **modules})
        assert "more than 3 files" in refusal("org/custom", replace(options, trust_remote_code=True))


class TestRefused:
    def test_unknown_repository(self, stub_hub: Any, options: SourceOptions) -> None:
        message = refusal("google/gemma-2-2c", options)
        assert message.startswith("there is no file or folder google/gemma-2-2c, and no public repository")
        assert "did you mean google/gemma-2-2b" in message

    @pytest.mark.parametrize("status", [401, 404])
    def test_unknown_repository_without_an_error_code(self, stub_hub: Any, options: SourceOptions, status: int) -> None:
        stub_hub.status = status
        assert "zzz/zzz" in refusal("zzz/zzz", options)

    def test_gated(self, stub_hub: Any, options: SourceOptions) -> None:
        stub_hub.gated.add("org/gated")
        assert refusal("org/gated", options) == (
            f"org/gated is gated; accept its terms at {stub_hub.address}/org/gated, then log in: hf auth login"
        )

    def test_a_bundled_snapshot_stands_in_for_a_gated_repository(self, stub_hub: Any, options: SourceOptions) -> None:
        stub_hub.gated.add(BUNDLED)
        source = resolve(BUNDLED, options)
        assert (source.origin, source.id) == ("snapshot", BUNDLED)
        assert source.notes == ("the hub asks to accept the model's terms; the bundled snapshot was used",)

    @pytest.mark.parametrize("status", [401, 403])
    def test_a_token_that_is_not_good_enough(
        self, stub_hub: Any, options: SourceOptions, status: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HF_TOKEN", "hf_wrong")
        stub_hub.add("org/model", config__json=CONFIG)
        stub_hub.status = status
        stub_hub.headers["X-Error-Message"] = "Invalid credentials in Authorization header"
        message = refusal("org/model", options)
        assert f"the hub refuses access to org/model ({status})" in message
        assert "hf auth login" in message

    def test_a_missing_revision_is_never_replaced_by_something_else(
        self, stub_hub: Any, options: SourceOptions
    ) -> None:
        stub_hub.add(BUNDLED, config__json=CONFIG)
        resolve(BUNDLED, options)
        assert f"{BUNDLED} has no revision v9" in refusal(BUNDLED, replace(options, revision="v9"))

    @pytest.mark.parametrize("subfolder", ["..", "a/../..", "/", ""])
    def test_a_subfolder_outside_the_repository(self, stub_hub: Any, options: SourceOptions, subfolder: str) -> None:
        stub_hub.add("org/model", config__json=CONFIG)
        assert "is no folder of a repository" in refusal("org/model", replace(options, subfolder=subfolder))


class TestWithoutConfig:
    def test_an_adapter_names_its_base_model(self, stub_hub: Any, options: SourceOptions) -> None:
        stub_hub.add("org/lora", adapter_config__json={"base_model_name_or_path": "org/base", "peft_type": "LORA"})
        assert refusal("org/lora", options) == (
            "org/lora is a PEFT adapter, not a model; check its base model: archlint org/base"
        )

    def test_a_pipeline_names_its_parts(self, stub_hub: Any, options: SourceOptions) -> None:
        stub_hub.put("org/image", {"model_index.json": {}, "unet/config.json": {}, "text_encoder/config.json": CONFIG})
        assert "diffusers pipeline" in refusal("org/image", options)
        assert "--subfolder: text_encoder, unet" in refusal("org/image", options)
        assert resolve("org/image", replace(options, subfolder="text_encoder")).config == CONFIG

    def test_a_missing_subfolder(self, stub_hub: Any, options: SourceOptions) -> None:
        stub_hub.add("org/model", config__json=CONFIG)
        assert refusal("org/model", replace(options, subfolder="nowhere")) == "org/model has no folder nowhere"

    def test_a_bundled_snapshot_stands_in(self, stub_hub: Any, options: SourceOptions) -> None:
        stub_hub.add(BUNDLED, params__json={})
        source = resolve(BUNDLED, options)
        assert source.origin == "snapshot"
        assert source.notes == (f"{BUNDLED} has no config.json on the hub; the bundled snapshot was used",)


class TestTrouble:
    @pytest.mark.parametrize(
        ("status", "what"), [(500, "has a problem (500)"), (503, "has a problem (503)"), (429, "asks to wait (429)")]
    )
    def test_a_hub_in_trouble(self, stub_hub: Any, options: SourceOptions, status: int, what: str) -> None:
        stub_hub.status = status
        started = time.monotonic()
        assert what in refusal("org/model", options)
        assert time.monotonic() - started < 2
        assert resolve(BUNDLED, options).origin == "snapshot"

    def test_a_hub_that_hangs_is_waited_for_once(
        self, stub_hub: Any, options: SourceOptions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(hub, "ANSWER_SECONDS", 0.3)
        stub_hub.hang()
        started = time.monotonic()
        assert "does not answer in time" in refusal("org/model", options)
        assert resolve(BUNDLED, options).origin == "snapshot"
        assert time.monotonic() - started < 2
        assert len(stub_hub.requests) == 1

    def test_a_conversation_has_an_end(
        self, stub_hub: Any, options: SourceOptions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(hub, "TOTAL_SECONDS", 0.3)
        stub_hub.hang()
        assert "does not answer in time" in refusal("org/model", options)

    def test_the_user_may_wait_longer(
        self, stub_hub: Any, options: SourceOptions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(hub, "ANSWER_SECONDS", 0.01)
        monkeypatch.setenv("HF_HUB_ETAG_TIMEOUT", "20")
        stub_hub.add("org/model", config__json=CONFIG)
        assert resolve("org/model", options).origin == "hub"

    def test_a_refused_connection(self, options: SourceOptions, monkeypatch: Any, closed_port: str) -> None:
        monkeypatch.setenv("HF_ENDPOINT", closed_port)
        started = time.monotonic()
        source = resolve(BUNDLED, options)
        assert time.monotonic() - started < 2
        assert source.notes == ("hub unreachable (127.0.0.1: connection refused); the bundled snapshot was used",)

    def test_a_name_that_cannot_be_resolved(self, options: SourceOptions, monkeypatch: Any) -> None:
        monkeypatch.setenv("HF_ENDPOINT", "https://hub.invalid")
        message = refusal("org/model", options)
        assert "org/model is neither in the hub's cache nor among the bundled snapshots" in message
        assert "the name hub.invalid cannot be resolved" in message

    def test_something_else_that_answers(self, stub_hub: Any, options: SourceOptions) -> None:
        stub_hub.is_a_hub = False
        assert "is not the hub; check HF_ENDPOINT, proxy and firewall" in refusal("org/model", options)

    def test_a_server_that_speaks_no_http(self, options: SourceOptions, monkeypatch: Any) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            monkeypatch.setenv("HF_ENDPOINT", f"https://127.0.0.1:{server.getsockname()[1]}")
            monkeypatch.setattr(hub, "ANSWER_SECONDS", 0.3)
            assert "hub" in refusal("org/model", options)

    @pytest.mark.parametrize("address", ["nonsense", "http://", "ftp://127.0.0.1:9", "http://[", "http://x:port"])
    def test_an_endpoint_that_is_none(self, options: SourceOptions, monkeypatch: Any, address: str) -> None:
        monkeypatch.setenv("HF_ENDPOINT", address)
        assert "the hub cannot be reached" in refusal("org/model", options)

    def test_a_cache_that_cannot_be_written(self, stub_hub: Any, tmp_path: Path) -> None:
        stub_hub.add("org/model", config__json=CONFIG)
        (tmp_path / "file").touch()
        message = refusal("org/model", SourceOptions(cache_dir=tmp_path / "file"))
        assert "the hub's cache cannot be used" in message
        assert "--cache-dir" in message


class TestProxy:
    def test_the_proxy_is_what_has_to_answer(self, stub_hub: Any, options: SourceOptions, monkeypatch: Any) -> None:
        stub_hub.add("org/model", config__json=CONFIG)
        monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
        monkeypatch.setenv("http_proxy", stub_hub.address)
        assert resolve("org/model", options).origin == "hub"

    def test_a_proxy_that_is_down(
        self, stub_hub: Any, options: SourceOptions, monkeypatch: Any, closed_port: str
    ) -> None:
        monkeypatch.setenv("http_proxy", closed_port)
        assert "connection refused" in refusal("org/model", options)
        assert stub_hub.requests == []

    def test_an_address_that_needs_no_proxy(
        self, stub_hub: Any, options: SourceOptions, monkeypatch: Any, closed_port: str
    ) -> None:
        stub_hub.add("org/model", config__json=CONFIG)
        monkeypatch.setenv("http_proxy", closed_port)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert resolve("org/model", options).origin == "hub"


class TestCache:
    def test_what_was_fetched_is_there_offline(self, stub_hub: Any, options: SourceOptions) -> None:
        stub_hub.add("org/model", config__json=CONFIG)
        resolve("org/model", options)
        stub_hub.requests.clear()
        source = resolve("org/model", replace(options, offline=True))
        assert source == Source(
            "org/model",
            "org/model",
            "cache",
            CONFIG,
            revision=COMMIT,
            notes=("offline; the hub's cache was used",),
        )
        assert stub_hub.requests == []

    @pytest.mark.parametrize("status", [401, 404, 500])
    def test_it_stands_in_when_the_hub_does_not_give_it(
        self, stub_hub: Any, options: SourceOptions, status: int
    ) -> None:
        stub_hub.add(BUNDLED, config__json=CONFIG)
        resolve(BUNDLED, options)
        stub_hub.status = status
        source = resolve(BUNDLED, options)
        assert (source.origin, source.config) == ("cache", CONFIG)

    def test_a_commit_in_it_is_not_asked_for(self, stub_hub: Any, options: SourceOptions) -> None:
        stub_hub.add("org/model", config__json=CONFIG)
        resolve("org/model", options)
        stub_hub.requests.clear()
        source = resolve("org/model", replace(options, revision=COMMIT))
        assert (source.origin, source.notes) == ("cache", ())
        assert stub_hub.requests == []

    def test_another_revision_is_not_taken_for_it(self, stub_hub: Any, options: SourceOptions) -> None:
        stub_hub.add("org/model", config__json=CONFIG)
        resolve("org/model", options)
        assert "is neither in the hub's cache" in refusal("org/model", replace(options, offline=True, revision="v1"))

    def test_the_library_can_be_offline_by_itself(
        self, stub_hub: Any, options: SourceOptions, monkeypatch: Any
    ) -> None:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        assert resolve(BUNDLED, options).notes == ("offline; the bundled snapshot was used",)
        assert stub_hub.requests == []

    def test_a_snapshot_is_no_particular_revision(self, options: SourceOptions) -> None:
        message = refusal(BUNDLED, replace(options, offline=True, revision="v1"))
        assert "without --revision and --subfolder the bundled snapshot is used" in message


def test_a_hub_that_is_back_is_asked_again(
    stub_hub: Any, options: SourceOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub_hub.add("org/model", config__json=CONFIG)
    network.remember(stub_hub.address, "down")
    assert "down" in refusal("org/model", options)
    monkeypatch.setattr(network, "_REMEMBERED_SECONDS", 0.0)
    assert resolve("org/model", options).origin == "hub"
