"""Toys as they are trained for real: with weights on the CPU, through the installed PEFT."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def toy() -> Callable[[str], Any]:
    """Makes a toy with weights, by the name that examples give it without ``toy:``."""

    def make(name: str) -> Any:
        family, _, cls = name.rpartition(".")
        return getattr(importlib.import_module(f"archlint.fixtures.toys.{family}"), cls)()

    return make


@pytest.fixture
def adapt(toy: Callable[[str], Any]) -> Callable[..., Any]:
    """Injects a LoraConfig into a toy; the adapters' second matrices are not zero."""
    from peft import LoraConfig, get_peft_model

    def inject(name: str, **lora: Any) -> Any:
        return get_peft_model(toy(name), LoraConfig(init_lora_weights=False, **lora))

    return inject


@pytest.fixture
def gradients() -> Callable[[Any], dict[str, bool]]:
    """Runs an adapted toy forward and backward: each trainable parameter, and whether it got a gradient."""
    import torch

    def run(model: Any) -> dict[str, bool]:
        model(torch.arange(3)[None]).sum().backward()
        return {
            name.removeprefix("base_model.model."): parameter.grad is not None
            for name, parameter in model.named_parameters()
            if parameter.requires_grad
        }

    return run
