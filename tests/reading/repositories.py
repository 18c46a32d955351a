"""Small repositories with code of their own, written for a test."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archlint.core.blueprint import Blueprint, ModelInfo
from archlint.reading import Reading, read
from archlint.survey import survey

CONFIGURATION = """
from transformers import PretrainedConfig

class ToyConfig(PretrainedConfig):
    model_type = "toy"

    def __init__(self, hidden_size=8, num_layers=2, vocab_size=32, **kwargs):
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.vocab_size = vocab_size
        super().__init__(**kwargs)
"""
HEAD = """
import math
import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedModel
from .configuration_toy import ToyConfig
"""
AUTO_MAP = {"AutoConfig": "configuration_toy.ToyConfig", "AutoModelForCausalLM": "modeling_toy.ToyModel"}


class Repository:
    """A folder with a config.json's content and Python files."""

    def __init__(self, folder: Path, modeling: str, configuration: str = CONFIGURATION, **files: str) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        texts = {"modeling_toy": HEAD + textwrap.dedent(modeling), "configuration_toy": textwrap.dedent(configuration)}
        texts |= {name: textwrap.dedent(text) for name, text in files.items()}
        for name, text in texts.items():
            (folder / f"{name}.py").write_text(text, encoding="utf-8")

    def read(self, class_name: str | None = None, auto_map: Mapping[str, str] = AUTO_MAP, **config: Any) -> Reading:
        return read({"model_type": "toy", "auto_map": dict(auto_map), **config}, self.folder, class_name)

    def survey(self, **config: Any) -> Blueprint:
        return survey(self.read(**config).skeleton, ModelInfo("toy", "local", "", "", 0, 0))


def model(body: str, rest: str = "") -> str:
    """A model class whose ``__init__`` is ``body``, after what else the file defines."""
    return textwrap.dedent(rest) + (
        "\nclass ToyModel(PreTrainedModel):\n"
        "    config_class = ToyConfig\n\n"
        "    def __init__(self, config):\n"
        "        super().__init__(config)\n" + textwrap.indent(textwrap.dedent(body), " " * 8)
    )
