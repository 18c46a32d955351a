"""Files and folders, and what is said of those that hold no model."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archlint.sources import Source, SourceError, SourceOptions, local, resolve

CONFIG = {"model_type": "llama", "hidden_size": 64}
PLAIN = SourceOptions()


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the hub nor the home of whoever runs the tests is asked."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("archlint.sources.hub.fetch", lambda *arguments: pytest.fail("the hub was asked"))


def write(path: str, content: Any = CONFIG) -> Path:
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(content if isinstance(content, str) else json.dumps(content))
    return target


def refusal(name: str, options: SourceOptions = PLAIN) -> str:
    with pytest.raises(SourceError) as caught:
        resolve(name, options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestFound:
    @pytest.mark.parametrize("name", ["org/model", "org/model/", "./org/model", "org/model/config.json"])
    def test_a_folder_or_its_file(self, name: str) -> None:
        write("org/model/config.json")
        source = resolve(name)
        assert (source.name, source.origin, source.config, source.notes) == (name, "local", CONFIG, ())
        assert source.folder == Path("org/model")

    def test_any_name_for_the_file(self) -> None:
        write("mine.txt")
        assert resolve("mine.txt") == Source("mine.txt", "mine.txt", "local", CONFIG, folder=Path())

    def test_the_home_folder(self, tmp_path: Path) -> None:
        write(str(tmp_path / "home/model/config.json"))
        assert resolve("~/model").id == str(tmp_path / "home/model")

    def test_a_path_wins_over_a_model_type(self) -> None:
        write("llama/config.json", {"model_type": "bert"})
        assert resolve("llama").config == {"model_type": "bert"}
        write("type:llama", {"model_type": "bert"})
        assert resolve("type:llama").config == {"model_type": "bert"}

    def test_a_subfolder(self) -> None:
        write("image/text/config.json")
        source = resolve("image", SourceOptions(subfolder="text"))
        assert (source.config, source.folder) == (CONFIG, Path("image"))

    @pytest.mark.parametrize("place", [".", "text"])
    def test_the_folder_is_where_the_code_lies(self, place: str) -> None:
        write("image/text/config.json", {"auto_map": {"AutoModel": "modeling.Model"}})
        code = write(f"image/{place}/modeling.py", "")
        assert resolve("image", SourceOptions(subfolder="text")).folder == code.parent

    def test_what_has_no_meaning_here_is_said(self) -> None:
        write("model/config.json")
        assert resolve("model", SourceOptions(revision="v1")).notes == ("--revision is ignored for a local path",)
        notes = resolve("model/config.json", SourceOptions(subfolder="x")).notes
        assert notes == ("--subfolder is ignored for a local path",)

    def test_repeated_keys_are_told(self) -> None:
        write("model/config.json", '{"model_type": "x", "model_type": "llama"}')
        source = resolve("model")
        assert source.config == {"model_type": "llama"}
        assert source.notes == ("config.json gives 'model_type' more than once; the last value counts",)


class TestMissing:
    @pytest.mark.parametrize(
        "name",
        ["./x", "../x", "/x/y", "x/", "a/b/c", "config.json", "org/config.json", "~/x", "~nobody-here/x", "a\\b"],
    )
    def test_what_can_only_be_a_path_never_goes_to_the_hub(self, name: str) -> None:
        assert refusal(name) == f"there is no file or folder {name}"

    @pytest.mark.parametrize("name", ["google/gemma-2-2b", "llama", "gpt2", "type:llama", "a.b", "org/name.v1"])
    def test_what_may_be_a_name_is_no_path(self, name: str) -> None:
        assert not local.exists(name)
        assert not local.looks_like_path(name)

    @pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "x" * 300 + "/y"])
    def test_a_name_that_no_path_can_have(self, name: str) -> None:
        assert not local.exists(name)

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is forbidden here")
    def test_a_folder_that_may_not_be_searched(self) -> None:
        write("locked/model/config.json")
        Path("locked").chmod(0)
        assert "locked/model cannot be read: Permission denied" in refusal("locked/model")
        Path("locked").chmod(0o700)

    def test_a_folder_whose_files_may_not_be_looked_at(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def forbid(path: Path) -> bool:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))

        write("model/config.json")
        monkeypatch.setattr(Path, "is_file", forbid)
        assert refusal("./model") == "./model cannot be read: Permission denied"


class TestWithoutConfig:
    def test_an_empty_folder(self) -> None:
        Path("model").mkdir()
        assert refusal("./model") == "model is empty; a model's folder holds config.json"

    def test_names_of_files_cannot_break_the_line(self) -> None:
        write("model/a\n\x1b[31mb", "")
        assert r"it holds a\n\x1b[31mb;" in refusal("./model")

    def test_what_it_holds_is_said(self) -> None:
        for name in "gfedcba":
            write(f"model/{name}")
        assert "model has no config.json; it holds a, b, c, d, e, …" in refusal("./model")

    def test_a_bare_word_may_have_been_meant_as_a_type(self) -> None:
        Path("llama").mkdir()
        assert refusal("llama").endswith("for the model type of this name write type:llama")

    def test_an_adapter_names_its_base_model_and_how_to_check_it(self) -> None:
        write("lora/adapter_config.json", {"peft_type": "LORA", "base_model_name_or_path": "org/base"})
        expected = (
            "is a PEFT adapter, not a model; check its base model: "
            "archlint org/base --adapter-config lora/adapter_config.json"
        )
        assert refusal("lora/") == f"lora {expected}"
        assert refusal("lora/adapter_config.json") == f"lora/adapter_config.json {expected}"

    @pytest.mark.parametrize("content", ["{", {"peft_type": "LORA", "base_model_name_or_path": None}])
    def test_an_adapter_that_does_not_say(self, content: Any) -> None:
        write("lora/adapter_config.json", content)
        assert refusal("lora/") == "lora is a PEFT adapter, not a model; name its base model"

    def test_a_pipeline(self) -> None:
        write("image/model_index.json", {"_class_name": "FluxPipeline"})
        write("image/text_encoder/config.json")
        assert refusal("image/") == (
            "image holds a diffusers pipeline, not a model; choose a part with --subfolder: text_encoder"
        )

    def test_parts_one_level_deeper(self) -> None:
        write("model/b/config.json")
        write("model/a/config.json")
        assert "choose a part with --subfolder: a, b" in refusal("model/")

    def test_other_formats(self) -> None:
        write("own/params.json", {})
        assert "(params.json)" in refusal("own/")
        write("llamacpp/model.gguf", "")
        assert "only GGUF files" in refusal("llamacpp/")

    def test_a_missing_subfolder(self) -> None:
        write("model/config.json")
        assert refusal("model", SourceOptions(subfolder="text")) == "model has no folder text"

    def test_a_config_that_is_a_folder(self) -> None:
        Path("model/config.json").mkdir(parents=True)
        assert "model has no config.json" in refusal("model/")


class TestNoModel:
    @pytest.mark.parametrize("model_type", [None, "", 3, ["llama"]])
    def test_without_a_model_type(self, model_type: object) -> None:
        write("config.json", {"model_type": model_type})
        assert refusal("config.json") == (
            "config.json has a model_type that is no name; correct it, or name the class with --class"
        )

    def test_the_class_that_it_names_is_the_hint(self) -> None:
        write("config.json", {"architectures": ["LlamaForCausalLM"]})
        assert refusal("config.json") == (
            "config.json has no model_type; add it, or name the class: --class LlamaForCausalLM"
        )

    def test_a_slip_of_the_pen(self) -> None:
        write("config.json", {"model-type": "llama"})
        assert "did you mean it by 'model-type'?" in refusal("config.json")

    def test_it_is_not_needed_where_the_user_names_the_class(self) -> None:
        write("config.json", {"hidden_size": 64})
        options = SourceOptions(class_name="LlamaForCausalLM")
        assert resolve("config.json", options).config == {"hidden_size": 64}
        write("config.json", {"hidden_size": 0})
        with pytest.raises(SourceError, match="hidden_size is 0"):
            resolve("config.json", replace(options))

    def test_it_is_not_needed_where_the_code_is_its_own(self) -> None:
        config = {"auto_map": {"AutoConfig": "configuration.Config"}}
        write("config.json", config)
        assert resolve("config.json").config == config

    @pytest.mark.parametrize(
        ("config", "message"),
        [
            ({"_class_name": "UNet2DConditionModel"}, "belongs to diffusers"),
            ({"dim": 4096, "n_layers": 32}, "in its authors' own format"),
        ],
    )
    def test_other_kinds(self, config: dict[str, Any], message: str) -> None:
        write("config.json", config)
        assert message in refusal("config.json")
