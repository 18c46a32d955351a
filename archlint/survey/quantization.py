"""What a ``quantization_config`` means for adapters, asked from the installed transformers and PEFT.

Nothing is quantized for it but a model of two small layers on the meta device, where the method's own code
can do that without the packages that it needs for weights.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from archlint.core.blueprint import Trait
from archlint.survey import unimported
from archlint.survey.kinds import classify

_WIDTH = 256
"""Of the small layers: a multiple of every usual block and group size."""


def described(quantization: Mapping[str, Any]) -> dict[str, str]:
    """What is to be known of a quantization, in words.

    ``method``: its name; ``details``: bits, format and block size; ``spared``: modules that it leaves alone;
    ``known``: ``yes`` or ``no``, whether transformers knows the method; ``layer``: the class that it puts in
    place of a Linear, where that could be tried; ``peft``: ``own`` where PEFT has a LoRA layer for the method,
    ``linear`` where it adapts the layers by their type, ``refused``, or ``unknown``; ``trainable``: what
    transformers says of training adapters on it, ``yes``, ``no`` or ``unknown``.
    """
    if not quantization:
        return {}
    method = str(quantization.get("quant_method") or quantization.get("quant_algo") or "an unnamed method")
    layer, trainable = _tried(quantization)
    return {
        "method": method,
        "details": ", ".join(_details(quantization, method)),
        "spared": ", ".join(_spared(quantization)),
        "known": "yes" if _is_known(quantization) else "no",
        "layer": type(layer).__name__ if layer is not None else "",
        "peft": _peft_answer(method, layer),
        "trainable": trainable,
    }


def _details(quantization: Mapping[str, Any], method: str) -> Iterator[str]:
    bits = quantization.get("bits") or next((n for n in (4, 8) if quantization.get(f"load_in_{n}bit")), None)
    if bits:
        yield f"{bits} bits"
    for key in ("fmt", "format", "quant_algo"):
        if quantization.get(key) and quantization[key] != method:
            yield str(quantization[key])
    block = quantization.get("weight_block_size")
    if isinstance(block, (list, tuple)) and block:
        yield f"blocks of {' × '.join(map(str, block))}"


def _spared(quantization: Mapping[str, Any]) -> list[str]:
    listed = quantization.get("modules_to_not_convert") or quantization.get("ignore")
    if isinstance(listed, str):
        return [listed]
    return list(map(str, listed)) if isinstance(listed, (list, tuple)) else []


def _is_known(quantization: Mapping[str, Any]) -> bool:
    from transformers.quantizers.auto import AutoHfQuantizer

    if not isinstance(quantization.get("quant_method"), str):
        return False
    return bool(AutoHfQuantizer.supports_quant_method(dict(quantization)))


def _peft_answer(method: str, layer: nn.Module | None) -> str:
    if method.replace("-", "_") in set(_peft_methods()):
        return "own"
    if layer is None:
        return "unknown"
    return "linear" if Trait.SUPPORTED in classify(layer).traits else "refused"


def _peft_methods() -> Iterator[str]:
    """Quantizations that PEFT has LoRA layers for: each is a module of its own, named after it or its package."""
    spec = unimported.find("peft.tuners.lora")
    for file in Path(str(spec.origin)).parent.glob("*.py") if spec is not None else ():
        text = file.read_text(encoding="utf-8")
        if re.search(r"^ *def dispatch_", text, re.MULTILINE):
            yield file.stem
            yield from re.findall(r"^ *import (\w+)", text, re.MULTILINE)


def _tried(quantization: Mapping[str, Any]) -> tuple[nn.Module | None, str]:
    """What the method makes of a Linear, and whether transformers trains adapters on it."""
    from transformers.quantizers.auto import AutoHfQuantizer

    layer, trainable = None, "unknown"
    try:
        quantizer = AutoHfQuantizer.from_config(dict(quantization), pre_quantized=True)
        trainable = "yes" if _answer(quantizer.is_trainable) else "no"
        with torch.device("meta"):
            probe = _probe()
            quantizer.preprocess_model(probe, dtype=torch.bfloat16, device_map=None)
            layer = probe.get_submodule("inner")
    except Exception:  # each method fails in its own way where its package is missing: then it is not known
        return None, trainable
    return layer, trainable


def _answer(value: Any) -> bool:
    """``is_trainable`` is a property of most quantizers, and a method of some."""
    return bool(value() if callable(value) else value)


def _probe() -> nn.Module:
    from transformers import PretrainedConfig, PreTrainedModel

    class Probe(PreTrainedModel):
        config_class = PretrainedConfig

        def __init__(self, config: PretrainedConfig) -> None:
            super().__init__(config)
            self.inner = nn.Linear(_WIDTH, _WIDTH)
            self.last = nn.Linear(_WIDTH, _WIDTH)
            self.post_init()  # type: ignore[no-untyped-call]

    config = PretrainedConfig()
    config.base_model_tp_plan = {}  # type: ignore[misc]
    return Probe(config)
