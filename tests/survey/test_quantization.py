"""What the installed libraries say of a quantization."""

from __future__ import annotations

from typing import Any

import pytest

from archlint.survey.quantization import described

FP8 = {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128], "modules_to_not_convert": ["lm_head"]}


def test_no_quantization_is_nothing() -> None:
    assert described({}) == {}


@pytest.mark.parametrize("method", ["gptq", "awq", "aqlm", "eetq", "hqq", "torchao"])
def test_peft_has_layers_of_its_own_for_some(method: str) -> None:
    import importlib

    module = importlib.import_module(f"peft.tuners.lora.{method}")
    assert hasattr(module, f"dispatch_{method}")
    assert described({"quant_method": method, "bits": 4})["peft"] == "own"


def test_a_package_under_another_name_counts() -> None:
    facts = described({"quant_method": "bitsandbytes", "load_in_4bit": True})
    assert (facts["peft"], facts["details"], facts["known"]) == ("own", "4 bits", "yes")


def test_layers_that_still_are_linears_are_adapted() -> None:
    facts = described(FP8)
    assert (facts["layer"], facts["peft"], facts["known"]) == ("FP8Linear", "linear", "yes")
    assert (facts["details"], facts["spared"]) == ("e4m3, blocks of 128 × 128", "lm_head")


@pytest.mark.since("transformers", "5.22", "adapters are trained on fp8")
def test_transformers_says_whether_it_trains_adapters() -> None:
    assert described(FP8)["trainable"] == "yes"


def test_that_is_what_peft_does() -> None:
    import torch
    from peft import LoraConfig, inject_adapter_in_model
    from torch import nn
    from transformers.integrations.finegrained_fp8 import FP8Linear

    with torch.device("meta"):
        model = nn.ModuleDict({"q_proj": FP8Linear(256, 256, block_size=(128, 128))})
        inject_adapter_in_model(LoraConfig(target_modules=["q_proj"]), model, low_cpu_mem_usage=True)
    assert hasattr(model["q_proj"], "lora_A")


@pytest.mark.parametrize(
    ("quantization", "facts"),
    [
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, {"known": "no", "peft": "unknown", "details": "NVFP4"}),
        ({"quant_algo": "FP8"}, {"method": "FP8", "known": "no", "details": ""}),
        ({"quant_method": "mxfp4"}, {"known": "yes", "trainable": "no"}),
        ({"quant_method": "higgs", "bits": 4}, {"peft": "refused", "layer": "HiggsLinear", "trainable": "no"}),
        ({"bits": 8}, {"method": "an unnamed method", "known": "no"}),
        ({"quant_method": "gptq", "bits": "many", "ignore": ["a", "b"]}, {"spared": "a, b", "trainable": "unknown"}),
    ],
)
def test_each_question_has_its_answer(quantization: dict[str, Any], facts: dict[str, str]) -> None:
    found = described(quantization)
    assert {key: found[key] for key in facts} == facts


@pytest.mark.parametrize("method", [None, ["awq"], {}, 7, True])
def test_what_is_no_name_of_a_method_is_not_known(method: Any) -> None:
    assert described({"quant_method": method, "bits": {}})["known"] == "no"


@pytest.mark.parametrize(
    ("spared", "told"), [(7, ""), ("lm_head", "lm_head"), ({"a": 1}, ""), (["a", None], "a, None")]
)
def test_modules_that_are_spared_are_a_list_or_none(spared: Any, told: str) -> None:
    assert described({"quant_method": "fp8", "modules_to_not_convert": spared})["spared"] == told
