"""What somebody would write without archlint: build the model on meta and call get_peft_model once."""

import json
import sys
from pathlib import Path

import transformers
from accelerate import init_empty_weights
from peft import LoraConfig, get_peft_model

config = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["config"]
parsed = transformers.AutoConfig.for_model(**config)
with init_empty_weights(include_buffers=True):
    model = getattr(transformers, config["architectures"][0])._from_config(parsed)
    print(get_peft_model(model, LoraConfig(target_modules="all-linear")).get_nb_trainable_parameters())
