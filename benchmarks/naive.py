"""What somebody would write without archlint: build the model on meta and call get_peft_model once.

Usage: ``python benchmarks/naive.py config.json``, or with the name of a model type, whose default config is built.
"""

import json
import sys
from pathlib import Path

import transformers
from accelerate import init_empty_weights
from peft import LoraConfig, get_peft_model

AUTO_CLASSES = ("AutoModelForCausalLM", "AutoModelForImageTextToText", "AutoModelForSeq2SeqLM", "AutoModel")

if sys.argv[1].endswith(".json"):
    config = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    parsed = transformers.AutoConfig.for_model(**config)
    model_class = getattr(transformers, config["architectures"][0])
else:
    parsed = transformers.AutoConfig.for_model(sys.argv[1])
    mappings = (getattr(transformers, name)._model_mapping for name in AUTO_CLASSES)
    model_class = next(mapping[type(parsed)] for mapping in mappings if type(parsed) in mapping)
with init_empty_weights(include_buffers=True):
    model = model_class._from_config(parsed)
    print(get_peft_model(model, LoraConfig(target_modules="all-linear")).get_nb_trainable_parameters())
