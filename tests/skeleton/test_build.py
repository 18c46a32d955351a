"""Skeletons: the real class, on meta, whatever the config's spelling; and a clear line where there is none."""

from __future__ import annotations

import contextlib
import copy
import inspect
import itertools
import json
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archlint.quiet import quiet
from archlint.skeleton import SkeletonError, build
from archlint.skeleton.build import CustomCodeError
from archlint.skeleton.copies import original
from archlint.skeleton.limits import BuildTooLargeError, bounded_build
from archlint.sources import SourceError
from archlint.sources.sanity import check_sizes
from tests.fixtures.repositories import FOLDER

SMALL = {"model_type": "llama", "num_hidden_layers": 2, "hidden_size": 64, "intermediate_size": 64, "vocab_size": 100}


def built(config: dict[str, Any], **options: Any) -> Any:
    with quiet():
        return build(config, **options)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({**SMALL, "architectures": ["LlamaForSequenceClassification"]}, "LlamaForSequenceClassification"),
        (SMALL, "LlamaForCausalLM"),
        ({"model_type": "mpt", "architectures": ["MPTForCausalLM"]}, "MptForCausalLM"),
        ({"model_type": "phimoe", "architectures": ["PhiMoEForCausalLM"]}, "PhimoeForCausalLM"),
        ({"model_type": "llava", "architectures": ["LlavaLlamaForCausalLM"]}, "LlavaForConditionalGeneration"),
        ({"model_type": "distilbert"}, "DistilBertForMaskedLM"),
        ({"model_type": "whisper"}, "WhisperForConditionalGeneration"),
        ({"model_type": "bart"}, "BartForConditionalGeneration"),
        ({"model_type": "vit"}, "ViTModel"),
    ],
)
def test_the_class_is_what_the_config_asks_for(config: dict[str, Any], expected: str) -> None:
    assert type(built(config).model).__name__ == expected


def test_the_config_that_is_given_stays_as_it_is() -> None:
    config = {**SMALL, "rope_scaling": {"rope_type": "linear", "factor": 2.0}}
    before = copy.deepcopy(config)
    built(config)
    assert config == before


def test_a_class_can_be_asked_for() -> None:
    assert type(built(SMALL, class_name="LlamaModel").model).__name__ == "LlamaModel"
    with pytest.raises(SkeletonError, match="no model class 'LlamaForNothing'"):
        built(SMALL, class_name="LlamaForNothing")


def test_the_language_model_of_a_composite_can_be_asked_for() -> None:
    config = {"model_type": "gemma3", "text_config": {"num_hidden_layers": 2}}
    model = built(config, class_name="Gemma3ForCausalLM").model
    assert type(model).__name__ == "Gemma3ForCausalLM"
    assert len(model.model.layers) == 2


def test_a_package_that_a_tower_needs_is_named_and_a_way_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import transformers

    def refuse(*_: object, **__: object) -> None:
        raise ImportError("\nSomeTower requires the timm library but it was not found in your environment.\n")

    monkeypatch.setattr(transformers.Gemma3ForConditionalGeneration, "__init__", refuse)
    with pytest.raises(SkeletonError, match=r"needs timm, not installed here; .* --class Gemma3ForCausalLM"):
        built({"model_type": "gemma3"})


@pytest.mark.parametrize("model_type", ["llama", "xlnet", "diffllama"])
def test_no_parameter_is_real(model_type: str) -> None:
    assert all(parameter.is_meta for parameter in built({"model_type": model_type}).model.parameters())


def test_quantization_is_kept_apart_and_the_model_built_without_it() -> None:
    skeleton = built({**SMALL, "quantization_config": {"quant_method": "fp8"}})
    assert skeleton.quantization == {"quant_method": "fp8"}
    assert type(skeleton.model.model.layers[0].self_attn.q_proj).__name__ == "Linear"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "no_such_type"}, "unknown to transformers"),
        ({}, "unknown to transformers"),
        ({"model_type": ["llama"]}, "unknown to transformers"),
        ({**SMALL, "hidden_act": "no_such_activation"}, "cannot build the model"),
        ({**SMALL, "num_hidden_layers": "two"}, "cannot build the model"),
    ],
)
def test_what_cannot_be_built_is_one_clear_line(config: dict[str, Any], message: str) -> None:
    with pytest.raises(SkeletonError, match=message) as caught:
        built(config)
    assert "\n" not in str(caught.value)


def _copies() -> list[str]:
    return [name for name in sys.modules if name.split(".")[0] == "transformers_modules"]


class TestCustomCode:
    @pytest.fixture
    def repository(self, tmp_path: Path) -> Path:
        (tmp_path / "configuration_own.py").write_text(
            textwrap.dedent(
                """
                from transformers import PretrainedConfig

                class OwnConfig(PretrainedConfig):
                    model_type = "own_architecture"

                    def __init__(self, width=8, **settings):
                        self.width = width
                        super().__init__(**settings)
                """
            )
        )
        (tmp_path / "modeling_own.py").write_text(
            textwrap.dedent(
                """
                from torch import nn
                from transformers import PreTrainedModel

                from .configuration_own import OwnConfig

                class OwnForCausalLM(PreTrainedModel):
                    config_class = OwnConfig

                    def __init__(self, config):
                        super().__init__(config)
                        self.projection = nn.Linear(config.width, config.width)
                        self.post_init()

                    def forward(self, x):
                        return self.projection(x)
                """
            )
        )
        return tmp_path

    CONFIG = {
        "model_type": "own_architecture",
        "width": 16,
        "auto_map": {
            "AutoConfig": "configuration_own.OwnConfig",
            "AutoModelForCausalLM": "modeling_own.OwnForCausalLM",
        },
    }

    def test_is_not_run_unless_trusted(self, repository: Path) -> None:
        with pytest.raises(CustomCodeError, match="--trust-remote-code"):
            built(self.CONFIG, code=repository)

    @pytest.fixture
    def modules(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        """Where transformers keeps its copies of code, for this test alone: none that is loaded is seen by another."""
        folder = tmp_path / "modules"
        monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(folder))
        monkeypatch.syspath_prepend(folder)
        loaded = {name: sys.modules.pop(name) for name in _copies()}
        yield folder
        for name in _copies():
            del sys.modules[name]
        sys.modules.update(loaded)

    def test_is_run_where_trusted(self, repository: Path, modules: Path) -> None:
        skeleton = built(self.CONFIG, code=repository, trust_remote_code=True)
        assert skeleton.ran_custom_code
        assert skeleton.model.projection.in_features == 16
        copied = Path(inspect.getfile(type(skeleton.model)))
        assert copied.is_relative_to(modules)
        assert original(str(copied)) == str(repository / "modeling_own.py"), "people are told of their own file"
        for other in (copied.with_name("gone.py"), Path(__file__)):
            assert original(str(other)) == str(other)

    def test_is_built_in_the_class_that_is_asked_for(self, modules: Path) -> None:
        code = FOLDER / "internlm2_like"
        config = json.loads((code / "config.json").read_text(encoding="utf-8"))
        config["auto_map"] = dict(reversed(config["auto_map"].items()))
        for wanted in ("InternLM2ForSequenceClassification", "InternLM2ForCausalLM"):
            model = built(config, class_name=wanted, code=code, trust_remote_code=True).model
            assert type(model).__name__ == wanted
        model = built(config, code=code, trust_remote_code=True).model
        assert type(model).__name__ == config["architectures"][0], "whatever auto_map names first"
        with pytest.raises(SkeletonError, match="no attribute 'Missing'"):
            built(config, class_name="Missing", code=code, trust_remote_code=True)

    def test_generates_as_what_the_auto_classes_load_does(self, modules: Path) -> None:
        code = FOLDER / "chatglm_like"
        config = json.loads((code / "config.json").read_text(encoding="utf-8"))
        model = built(config, code=code, trust_remote_code=True).model
        assert model.can_generate()
        assert model.generation_config is not None

    def test_is_not_needed_where_transformers_has_the_type(self) -> None:
        skeleton = built({**SMALL, "auto_map": {"AutoModelForCausalLM": "modeling_llama.LlamaForCausalLM"}})
        assert not skeleton.ran_custom_code
        assert skeleton.custom_code == ("modeling_llama.LlamaForCausalLM",)


def test_a_build_asks_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection was attempted")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(SkeletonError) as caught:  # its backbone is another repository, by name
        built({"model_type": "detr", "use_timm_backbone": False, "backbone_config": None, "backbone": "a/backbone"})
    assert "connection was attempted" not in str(caught.value)


def test_a_build_without_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch import nn

    monkeypatch.setattr("archlint.skeleton.limits.MAX_MODULES", 1_000)
    with pytest.raises(BuildTooLargeError, match="more than 1,000 modules"), bounded_build():
        nn.ModuleList(nn.Identity() for _ in range(1_001))


def test_a_build_that_only_computes_is_stopped_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archlint.skeleton.limits.MAX_SECONDS", 0.2)
    with pytest.raises(BuildTooLargeError, match="takes more than"), bounded_build():
        sum(1 for _ in itertools.count())


def test_a_build_in_time_is_left_alone_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archlint.skeleton.limits.MAX_SECONDS", 0.05)
    before = threading.active_count()
    with bounded_build():
        pass
    end = time.monotonic() + 0.2
    while time.monotonic() < end:  # a late exception would be raised here
        pass
    assert threading.active_count() == before


def test_a_stopped_build_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archlint.skeleton.limits.MAX_MODULES", 10)
    with pytest.raises(SkeletonError, match="cannot build the model: it has more than 10 modules; correct the sizes"):
        built(SMALL)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({**SMALL, "hidden_act": "nope"}, "hidden_act is 'nope', and the model class knows no such name"),
        ({**SMALL, "rope_parameters": {"rope_type": "nope", "rope_theta": 1e4}}, "rope_parameters.rope_type is 'nope'"),
        ({**SMALL, "hidden_act": "nope", "note": "nope"}, "KeyError: 'nope'"),
    ],
)
def test_the_key_that_holds_an_unknown_name_is_told(config: dict[str, Any], message: str) -> None:
    with pytest.raises(SkeletonError, match=message):
        built(config)


FUZZED = [
    {**SMALL, "num_attention_heads": 4, "architectures": ["LlamaForSequenceClassification"]},
    {"model_type": "bert", "num_hidden_layers": 1, "hidden_size": 48, "num_labels": 3},
    {"model_type": "albert", "num_hidden_layers": 1, "inner_group_num": 1, "hidden_size": 64, "num_attention_heads": 4},
    {"model_type": "gpt_neo", "num_layers": 2, "hidden_size": 64, "attention_types": [[["global", "local"], 1]]},
    {"model_type": "mixtral", "num_hidden_layers": 1, "num_local_experts": 2, "hidden_size": 64},
    {
        "model_type": "gemma3",
        "text_config": {"num_hidden_layers": 1, "hidden_size": 64, "layer_types": ["full_attention"]},
        "vision_config": {"num_hidden_layers": 1, "hidden_size": 64, "num_attention_heads": 4},
    },
]
wrong = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([-1, 0, 1, 3, 10**9, 10**12, 2**63, 10**30, 1.5, 1e12, "", "nope", "64"]),
    st.lists(st.sampled_from([1, 10**12, "global", None]), max_size=3),
    st.just({"num_hidden_layers": 10**12}),
)


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    config: dict[str, Any] = copy.deepcopy(draw(st.sampled_from(FUZZED)))
    for _ in range(draw(st.integers(1, 2))):
        part = draw(st.sampled_from([config, *(value for value in config.values() if isinstance(value, dict))]))
        keys = sorted({*part, "num_labels", "id2label", "vocab_size"} - {"model_type"})
        part[draw(st.sampled_from(keys))] = draw(wrong)
    return config


@given(mutated())
@settings(max_examples=60)
def test_a_config_with_wrong_values_is_built_or_refused_at_once(config: dict[str, Any]) -> None:
    started = time.monotonic()
    with contextlib.suppress(SourceError, SkeletonError):
        check_sizes(config)
        built(config)
    assert time.monotonic() - started < 10  # torch and the model's module are imported within, and the machine is busy


@pytest.mark.skipif(sys.platform != "linux", reason="the high-water mark of a process is read from /proc")
def test_a_671b_model_is_linted_in_under_a_gigabyte() -> None:
    script = """
        import re
        import archlint

        report = archlint.lint("deepseek-ai/DeepSeek-V3", offline=True)
        status = open("/proc/self/status").read()
        print(report.model.parameters, re.search(r"VmHWM:\\s+(\\d+) kB", status)[1])
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    parameters, kibibytes = map(int, run.stdout.split())
    assert parameters > 600e9
    assert kibibytes * 1024 < 1e9
