"""The least that any such tool does: import torch and transformers, and build the model of a config.json on meta."""

import json
import sys
from pathlib import Path

import transformers
from accelerate import init_empty_weights

config = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
parsed = transformers.AutoConfig.for_model(**config)
with init_empty_weights(include_buffers=True):
    getattr(transformers, config["architectures"][0])._from_config(parsed)
