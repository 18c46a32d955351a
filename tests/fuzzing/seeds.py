"""What mutations start from: real configurations, and settings of every tool in every syntax."""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

ROOT = Path(__file__).parents[2]
SNAPSHOTS = ROOT / "fixtures" / "snapshots"
PUBLISHED = ROOT.parent / "shared" / "configs"
"""Published configurations, kept beside a developer's checkout but not in it."""


@functools.cache
def configs() -> Mapping[str, dict[str, Any]]:
    """Contents of config.json by name: bundled snapshots, what was published, model types with their defaults."""
    found = {path.stem: json.loads(path.read_bytes())["config"] for path in sorted(SNAPSHOTS.glob("*.json"))}
    found |= {path.stem: json.loads(path.read_bytes()) for path in sorted(PUBLISHED.glob("*.json"))}
    found |= {f"type:{name}": {"model_type": name} for name in sorted(CONFIG_MAPPING_NAMES)}
    return {name: config for name, config in found.items() if isinstance(config, dict)}


def weighted() -> list[dict[str, Any]]:
    """All of :func:`configs`, those of real models thrice: they say more than a model type."""
    return [config for config in configs().values() for _ in range(1 if config.keys() <= {"model_type"} else 3)]


@functools.cache
def report() -> str:
    """A document of ``--format json``: of a small model with towers by itself, and with a plan."""
    from archlint import engine
    from archlint.core.catalog import Catalog
    from archlint.core.trial import USER, Plan
    from archlint.report import json_document
    from archlint.sources import SourceOptions

    catalog = Catalog.load()
    plan = Plan(
        USER, {"target_modules": ["q_proj", "x"], "modules_to_save": ["lm_head"], "rank_pattern": {"q_proj": 4}}
    )
    config = dict(configs()["google--gemma-4-E2B-it"])
    layers = {"num_hidden_layers": 2, "layer_types": ["sliding_attention", "full_attention"], "num_kv_shared_layers": 0}
    config["text_config"] = {**config["text_config"], **layers}
    config |= {part: {**config[part], "num_hidden_layers": 1} for part in ("vision_config", "audio_config")}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(config), encoding="utf-8")
        reports = [
            engine.check(folder, engine.Options(plan=one, rules=catalog.chosen(), source=SourceOptions(offline=True)))
            for one in (None, plan)
        ]
    return json_document.render(engine.finished(reports))


PLANS: Mapping[str, str] = {
    "adapter_config.json": """{
  "peft_type": "LORA",
  "base_model_name_or_path": "google/gemma-2b",
  "task_type": "CAUSAL_LM",
  "target_modules": ["q_proj", "v_proj"],
  "target_parameters": null,
  "exclude_modules": ".*vision.*",
  "modules_to_save": ["lm_head"],
  "layers_to_transform": [0, 1],
  "layers_pattern": "layers",
  "rank_pattern": {"q_proj": 4},
  "alpha_pattern": {"v_proj": 4},
  "r": 8,
  "lora_alpha": 16,
  "lora_dropout": 0.05,
  "bias": "none",
  "use_dora": false,
  "init_lora_weights": true
}
""",
    "ia3.json": """{
  "peft_type": "IA3",
  "base_model_name_or_path": "google/gemma-2b",
  "target_modules": ["k_proj", "v_proj", "down_proj"],
  "feedforward_modules": ["down_proj"]
}
""",
    "peft.yml": "peft_type: LORA\ntarget_modules: [q_proj, v_proj]\nr: 8\nrank_pattern: {q_proj: 4}\n",
    "axolotl.yml": """base_model: google/gemma-2b
adapter: lora
lora_r: 8
lora_alpha: 16
lora_dropout: 0.05
lora_target_modules:
  - q_proj
  - v_proj
lora_target_linear: true
lora_modules_to_save: &saved [embed_tokens, lm_head]
peft_layers_to_transform: [0, 1]
gradient_checkpointing: true
gradient_accumulation_steps: 4
rl: dpo
""",
    "llama_factory.yml": """model_name_or_path: google/gemma-2b
stage: sft
finetuning_type: lora
lora_rank: 8
lora_target: q_proj,v_proj  # or all
additional_target: lm_head
gradient_accumulation_steps: 8
""",
    "trl.yml": """model_name_or_path: google/gemma-2b
use_peft: true
lora_r: 16
lora_target_modules: [q_proj, v_proj]
lora_modules_to_save: [lm_head]
gradient_checkpointing: true
""",
    "swift.json": """{"model": "google/gemma-2b", "tuner_type": "lora", "target_modules": ["all-linear"],
 "lora_rank": 8, "modules_to_save": [], "target_regex": "model.layers.*", "freeze_vit": true}
""",
    "unsloth.py": """from unsloth import FastModel

model, tokenizer = FastModel.from_pretrained("google/gemma-2b", load_in_4bit=True)
model = FastModel.get_peft_model(
    model,
    target_modules=["q_proj", "v_proj"],
    r=8, lora_alpha=16,
    finetune_vision_layers=False,
)
""",
    "script.py": """from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM
from trl import SFTConfig, SFTTrainer

NAMES = ["q_proj", "v_proj"]
model = AutoModelForCausalLM.from_pretrained("google/gemma-2b")
config = LoraConfig(r=8, target_modules=NAMES, modules_to_save=["lm_head"], rank_pattern={"q_proj": 4})
arguments = SFTConfig(output_dir="out", gradient_checkpointing=True, weight_decay=0.01)
trainer = SFTTrainer(model=model, args=arguments, peft_config=config)
""",
    "unsloth_train.yml": """model: google/gemma-2b
training:
  training_type: lora
lora:
  lora_r: 16
  target_modules: [q_proj, v_proj]
""",
    "trl.sh": """#!/bin/bash
set -e
MODEL=google/gemma-2b
accelerate launch --num_processes 8 \\
  trl sft --model_name_or_path "$MODEL" --use_peft \\
  --lora_r 16 --lora_target_modules q_proj v_proj --gradient_checkpointing true
""",
    "swift.sh": """CUDA_VISIBLE_DEVICES=0 swift sft --model google/gemma-2b --tuner_type lora \\
  --target_modules all-linear --lora_rank 8 --freeze_vit true
""",
    "llama_factory.sh": "llamafactory-cli train --stage sft --finetuning_type lora --lora_target all --lora_rank 8 "
    "--model_name_or_path google/gemma-2b\n",
}
"""Texts of settings by the name of a file."""

SETTINGS: Mapping[str, str] = {
    "archlint.toml": """scope = "text"
select = ["ARC1", "ARC5"]
ignore = ["ARC201"]
fail-on = "warning"
baseline = "known.json"
trainer = ["trl-sft"]

[per-source."google/*"]
scope = "all"
""",
    "pyproject.toml": """[project]
name = "x"

[tool.archlint]
adapter-config = "adapter_config.json"
format = "concise"
""",
}
"""Texts of archlint's own settings by the name of a file."""

LISTS: Mapping[str, str] = {
    "models.txt": "google/gemma-2b\ntype:llama  # a comment\n# another\n\n./folder\n",
    "models.jsonl": '{"source": "google/gemma-2b", "revision": "main"}\n"type:llama"\n'
    '{"id": "a/b", "config": {"model_type": "llama"}}\n{"modelId": "a/c", "tags": []}\n',
}
"""Texts of lists for scans by the name of a file."""
