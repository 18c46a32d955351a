"""What is read from PEFT's source is what PEFT's classes have."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from archlint.plans import PlanError, peft_configs


def test_every_config_class_is_read_as_it_is() -> None:
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    for tuner, cls in PEFT_TYPE_TO_CONFIG_MAPPING.items():
        found = peft_configs.config_class(tuner.value)
        assert found == peft_configs.class_named(cls.__name__)
        fields = {field.name: field.default for field in dataclasses.fields(cls)}
        assert {*found.arguments} | peft_configs.bookkeeping() == {*fields}, tuner
        for name, default in found.arguments.items():
            if default is not None and not isinstance(default, (dict, list)):
                assert fields[name] == default, (tuner, name)


def test_lora_has_its_defaults() -> None:
    from peft import LoraConfig

    defaults = LoraConfig()
    for name, default in peft_configs.config_class("LORA").arguments.items():
        if name != "runtime_config":  # an object, which is never saved
            assert getattr(defaults, name) == default, name


def test_what_places_by_module() -> None:
    assert peft_configs.config_class("LOKR").places_by_module
    assert not peft_configs.config_class("PROMPT_TUNING").places_by_module


def test_an_unknown_tuner() -> None:
    with pytest.raises(PlanError, match="has no peft_type 'LORAX'"):
        peft_configs.config_class("LORAX")
    assert peft_configs.class_named("Config") is None


def test_peft_is_not_imported() -> None:
    code = (
        "import sys; from archlint.plans import peft_configs as p; p.config_class('OFT'); print('peft' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
