"""TRL's ``ModelConfig``: in YAML, on a command line, in Python."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from archlint.plans.dialect import Means, Reading
from archlint.plans.dialects import reading as take
from archlint.plans.dialects.flat import FlatDialect, Key
from archlint.plans.dialects.yaml_text import yaml_lines
from archlint.plans.document import Document, PlanError, Section


def _targets(value: Any) -> Any:
    """A single name as an expression that means the same, since TRL takes a list of one for an expression."""
    if isinstance(value, list) and len(value) == 1:
        return rf"(.*\.)?{re.escape(value[0])}"
    return value


class Trl(FlatDialect):
    """TRL 1.16.0: ``trainer/model_config.py`` has the keys, ``get_peft_config`` of ``trainer/utils.py`` the config.

    A list of one target becomes that target alone (``ModelConfig.__post_init__``), which PEFT takes for a regular
    expression, unless it is ``all-linear``. There is no key for an exclusion, single layers, patterns of ranks, or
    the initialisation.
    """

    name = "trl"
    title = "TRL"
    table = "trl"
    refuses_dropout = True
    means = Means(exclusion=False)
    signs = frozenset({"use_peft", "lora_task_type", "use_bnb_nested_quant", "bnb_4bit_quant_storage"})
    pairs = (
        frozenset({"model_name_or_path", "lora_target_modules"}),
        frozenset({"model_name_or_path", "lora_r"}),
        frozenset({"model_name_or_path", "lora_target_parameters"}),
    )
    calls = frozenset({"ModelConfig"})
    commands = ("trl sft", "trl dpo", "trl grpo", "trl kto", "trl reward", "trl rloo")
    settled = {"bias": ("none",)}
    keys = (
        Key("lora_r", "r", take.integer, 16),
        Key("lora_alpha", "lora_alpha", take.integer, 32),
        Key("lora_dropout", "lora_dropout", take.number, 0.05),
        Key("lora_target_modules", "target_modules", take.one_or_names, places=True, write=_targets),
        Key("lora_target_parameters", "target_parameters", take.one_or_names, places=True),
        Key("lora_modules_to_save", "modules_to_save", take.one_or_names, places=True),
        Key("lora_task_type", "task_type", take.text, "CAUSAL_LM"),
        Key("use_rslora", "use_rslora", take.flag, False),
        Key("use_dora", "use_dora", take.flag, False),
        Key("use_peft", None, take.flag, False, places=True),
        Key("model_name_or_path", None, take.text),
    )

    def read(self, document: Document, section: Section) -> Reading:
        settings = self.settings(document, section)
        if not settings["use_peft"]:
            said = "use_peft is false" if "use_peft" in settings.entries else "use_peft is not there"
            raise PlanError(f"{settings.place('use_peft')}: {said}: TRL trains the whole model")
        arguments: dict[str, Any] = {}
        for name, argument in (
            ("lora_target_parameters", "target_parameters"),
            ("lora_modules_to_save", "modules_to_save"),
        ):
            value = settings[name]
            if isinstance(value, str):
                if document.syntax != "command line":
                    raise PlanError(f"{settings.place(name)}: {name} must be a list of texts, not a text")
                arguments[argument] = [value]
        targets = settings["lora_target_modules"]
        if isinstance(targets, str) and targets and not _is_expression(targets):
            settings.note("lora_target_modules", f"TRL gives PEFT the one name {targets!r} as a regular expression")
        if isinstance(targets, list) and len(targets) == 1:
            arguments["target_modules"] = targets[0]
            if not _is_expression(targets[0]):
                text = (
                    f"TRL takes the only item of the list out, and PEFT takes {targets[0]!r} for a regular expression"
                )
                settings.note("lora_target_modules", text)
        return self.reading(settings, base_model=settings["model_name_or_path"], arguments=arguments)

    def fragment(self, arguments: Mapping[str, Any], base_model: str) -> str:
        return yaml_lines({"model_name_or_path": base_model, "use_peft": True, **self.spell(arguments)})


def _is_expression(target: str) -> bool:
    return target == "all-linear" or re.search(r"[*+?^$|()\[\]{}\\]", target) is not None
