"""axolotl's YAML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archlint.core.blueprint import Blueprint
from archlint.core.training import Trainer
from archlint.plans.dialect import Means, Reading
from archlint.plans.dialects import reading as take
from archlint.plans.dialects.asking_peft import reaches_experts
from archlint.plans.dialects.flat import FlatDialect, Key, Settings, trainer_keys
from archlint.plans.dialects.linears import is_linear, modules, redirected
from archlint.plans.dialects.yaml_text import yaml_lines
from archlint.plans.document import Document, PlanError, Section

_HEADS = frozenset({"lm_head", "embed_out"})
_WHERE_TRUE = {
    "lora_modules_to_save": "modules_to_save",
    "lora_rank_pattern": "rank_pattern",
    "lora_alpha_pattern": "alpha_pattern",
    "peft_layer_replication": "layer_replication",
    "peft_init_lora_weights": "init_lora_weights",
    "peft_trainable_token_indices": "trainable_token_indices",
}
"""Keys that axolotl passes over where they are empty or false, and what they become otherwise."""
_TASKS = {"SequenceClassification": "SEQ_CLS", "TokenClassification": "TOKEN_CLS"}


def _checkpointing(data: Any) -> bool:
    """``offload`` and ``offload_disk`` turn it on as well."""
    return bool(take.flag_or_text(data))


class Axolotl(FlatDialect):
    """axolotl 0.19.0: ``utils/schemas/peft.py`` has the keys, ``loaders/adapter.py`` makes the LoraConfig of them.

    ``lora_exclude_modules`` stands in ``loaders/adapter.py`` but in no schema, and the schema drops what it does not
    know: the key has no effect, and there is no other for an exclusion. ``lora_target_linear`` adds the names of all
    linears, by type or by the class's name, less the name of the output head. PEFT is patched to adapt the linear
    inside a wrapper of its own choice of classes; here that is any wrapper which calls its linear ``linear``. It is
    patched as well to give fused experts no dropout where it comes to them from names of modules; parameters that are
    named beside a dropout are refused. What is handed on only where it is true stays PEFT's default otherwise.

    It trains with transformers' Trainer (``core/trainers/base.py``), which calls the model's own forward, with TRL's
    RewardTrainer where ``reward_model`` says so, and with trainers of its own where ``rl`` does (``core/builders``):
    those build on TRL 1.9.0, whose trainers, but for SFTTrainer, call the model's own forward too. Gradient
    checkpointing is off unless it is asked for (``utils/schemas/config.py`` has the default, ``core/builders/base.py``
    hands it on); there is no key for the weight of TRL's auxiliary loss.
    """

    name = "axolotl"
    title = "axolotl"
    table = "axolotl"
    refuses_dropout = True
    needless = frozenset({"router_aux_loss_coef"})
    means = Means(exclusion=False)
    signs = frozenset(
        {
            "base_model",
            "adapter",
            "lora_target_linear",
            "lora_model_dir",
            "lora_fan_in_fan_out",
            "lora_rank_pattern",
            "peft_use_dora",
            "peft_use_rslora",
            "peft_layers_to_transform",
            "peft_init_lora_weights",
            "micro_batch_size",
            "sequence_len",
            "sample_packing",
        }
    )
    commands = ("axolotl train",)
    settled = {
        "bias": ("none",),
        "task_type": ("CAUSAL_LM", "SEQ_CLS", "TOKEN_CLS"),
    }
    keys = (
        Key("lora_r", "r", take.integer),
        Key("lora_alpha", "lora_alpha", take.integer),
        Key("lora_dropout", "lora_dropout", take.number, 0.0),
        Key("lora_target_modules", "target_modules", take.one_or_names, places=True),
        Key("lora_target_linear", "target_modules", take.flag, places=True),
        Key("lora_target_parameters", "target_parameters", take.words, places=True),
        Key("lora_modules_to_save", "modules_to_save", take.names, places=True),
        Key("lora_fan_in_fan_out", "fan_in_fan_out", take.flag),
        Key("lora_rank_pattern", "rank_pattern", take.table),
        Key("lora_alpha_pattern", "alpha_pattern", take.table),
        Key("peft_layers_to_transform", "layers_to_transform", take.layers, places=True),
        Key("peft_layers_pattern", "layers_pattern", take.words, places=True),
        Key("peft_use_dora", "use_dora", take.flag),
        Key("peft_use_rslora", "use_rslora", take.flag),
        Key("peft_layer_replication", "layer_replication", take.anything),
        Key("peft_init_lora_weights", "init_lora_weights", take.flag_or_text),
        Key("peft_trainable_token_indices", "trainable_token_indices", take.anything),
        Key("peft_ensure_weight_tying", "ensure_weight_tying", take.flag),
        Key("adapter", None, take.text, places=True),
        Key("base_model", None, take.text),
        Key("peft", None, take.table),
        Key("lora_model_dir", None, take.text),
        Key("lora_exclude_modules", None, take.anything),
        Key("rl", None, take.anything),
        Key("reward_model", None, take.flag, False),
        Key("process_reward_model", None, take.flag, False),
        Key("trainer_cls", None, take.anything),
        Key("gradient_checkpointing", None, _checkpointing, False, trains="gradient_checkpointing"),
        *trainer_keys("gradient_accumulation_steps", "weight_decay"),
    )

    def read(self, document: Document, section: Section) -> Reading:
        settings = self.settings(document, section)
        adapter = settings["adapter"]
        if not adapter:
            raise PlanError(f"{document.path}:{section.line}: no adapter: axolotl trains the whole model")
        if adapter not in ("lora", "qlora"):
            raise PlanError(f"{settings.place('adapter')}: adapter {adapter} is no LoRA; archlint reads lora and qlora")
        if "lora_exclude_modules" in settings.entries:
            settings.note("lora_exclude_modules", "axolotl drops lora_exclude_modules: its schema has no such key")
        if "lora_model_dir" in settings.entries:
            settings.note("lora_model_dir", "axolotl goes on with the adapter in lora_model_dir and its own settings")
        for key in ("lora_r", "lora_alpha"):
            if settings[key] is None:
                settings.note(key, f"axolotl has no default for {key}, and PEFT raises without; archlint takes PEFT's")
        targets = settings["lora_target_modules"] or []
        loftq = (settings["peft"] or {}).get("loftq_config") or {}
        arguments: dict[str, Any] = {"target_modules": targets, "task_type": "CAUSAL_LM"}
        arguments |= {argument: settings[name] or None for name, argument in _WHERE_TRUE.items()}
        if settings["peft_init_lora_weights"] is False:
            note = "axolotl hands peft_init_lora_weights on only where it is true: PEFT's default stands"
            settings.note("peft_init_lora_weights", note)
        if isinstance(loftq, dict) and loftq.get("loftq_bits") and not settings["peft_init_lora_weights"]:
            arguments |= {"init_lora_weights": "loftq", "loftq_config": {"loftq_bits": loftq["loftq_bits"]}}
        linear = bool(settings["lora_target_linear"])
        return self.reading(
            settings,
            base_model=settings["base_model"],
            arguments=arguments,
            waits=True,
            wants_all=linear,
            hints={"linear": linear},
        )

    def trainers(self, settings: Settings) -> tuple[Trainer, ...]:
        if settings["rl"]:
            return ()
        if settings["reward_model"]:
            return (Trainer.REWARD,)
        return () if settings["process_reward_model"] or settings["trainer_cls"] else (Trainer.TRANSFORMERS,)

    def choose(self, reading: Reading, blueprint: Blueprint) -> dict[str, Any]:
        arguments = dict(reading.arguments)
        if reading.hints.get("linear"):
            targets = arguments.get("target_modules") or []
            names = {site.leaf for site in modules(blueprint) if is_linear(site) or "Linear" in site.type.name}
            given = [targets] if isinstance(targets, str) else targets
            arguments["target_modules"] = sorted({*given, *(names - _HEADS)})
        given = arguments.get("target_parameters")
        if arguments.get("lora_dropout") and not given and reaches_experts(blueprint, arguments.get("target_modules")):
            del arguments["lora_dropout"]  # the other layers keep it, and it changes nothing that is tried on them
        root = blueprint.by_path[""].type.name if "" in blueprint.by_path else ""
        arguments["task_type"] = next((task for part, task in _TASKS.items() if part in root), "CAUSAL_LM")
        return redirected(arguments, blueprint)

    def fragment(self, arguments: Mapping[str, Any], base_model: str, training: Mapping[str, Any] | None = None) -> str:
        settings = {"lora_r": 8, "lora_alpha": 8, **self.spell(arguments)}  # PEFT's: axolotl has no defaults
        return yaml_lines({"base_model": base_model, "adapter": "lora", **settings, **self.spell_needed(training)})
