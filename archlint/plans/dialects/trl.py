"""TRL's ``ModelConfig``: in YAML, on a command line, in Python."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from archlint.core.training import Trainer
from archlint.plans.dialect import Means, Reading, Remark
from archlint.plans.dialects import reading as take
from archlint.plans.dialects.flat import FlatDialect, Key, Settings, affirmed, facts, known_keys, trainer_keys
from archlint.plans.dialects.trainer_calls import trainer_of_script
from archlint.plans.dialects.yaml_text import yaml_lines
from archlint.plans.document import Document, PlanError, Section

_SCRIPT = re.compile(r"trl (\w+)|(?:.*/)?(sft|dpo_online|dpo|grpo|kto|reward|rloo)\w*\.py")
"""The command of one trainer, and its script: TRL's own, or one that is called after it."""

_TITLES = {"rloo": "RLOOTrainer", "dpo_online": "OnlineDPOTrainer"}
"""The trainers of scripts that archlint knows nothing of."""


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

    Which trainer it is says the command or the script (``scripts/*.py``), else the keys: only some of the scripts have
    all of them, as the table has it from their dataclasses. SFT is taken where it is one of these.
    """

    name = "trl"
    title = "TRL"
    table = "trl"
    refuses_dropout = True
    needless = frozenset()
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
        *trainer_keys(*take.TRAINER_ARGUMENTS),
    )

    def read(self, document: Document, section: Section) -> Reading:
        if document.syntax == "command line":
            section = affirmed(section, self.table)
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
        if document.syntax != "Python" and not self.trainers(settings):
            script = _scripts(section)[0]
            name = f"TRL's {_TITLES[script]}" if script in _TITLES else f"trl {script}"
            settings.notes.append(Remark(section.line, f"archlint does not check for {name}"))
        reading = self.reading(settings, base_model=settings["model_name_or_path"], arguments=arguments)
        if document.syntax != "Python":
            return reading
        training, remarks = trainer_of_script(document)  # whose arguments are not ModelConfig's
        return replace(reading, training=training, unknown=(*reading.unknown, *remarks))

    def trainers(self, settings: Settings) -> tuple[Trainer, ...]:
        return _known(_scripts(settings.section))

    def fragment(self, arguments: Mapping[str, Any], base_model: str, training: Mapping[str, Any] | None = None) -> str:
        settings = {**self.spell(arguments), **self.spell_needed(training)}
        return yaml_lines({"model_name_or_path": base_model, "use_peft": True, **settings})


def _is_expression(target: str) -> bool:
    return target == "all-linear" or re.search(r"[*+?^$|()\[\]{}\\]", target) is not None


def _scripts(section: Section) -> list[str]:
    """The scripts that ``section`` may be for."""
    words = (section.about, *(str(word.data) for word in section.words))
    if found := next(filter(None, map(_SCRIPT.fullmatch, words)), None):
        return [found[1] or found[2]]
    return _scripts_with(section.entries)


def _scripts_with(keys: Iterable[str]) -> list[str]:
    """The scripts that have all of ``keys``, as far as these are keys of some only; SFT's alone where it is one."""
    scripts = {name: frozenset(own) for name, own in facts("trl")["scripts"].items()}
    telling = frozenset().union(*scripts.values()).intersection(keys)
    found = [name for name, own in scripts.items() if telling <= own]
    return ["sft"] if "sft" in found or not found else found


def _known(scripts: Iterable[str]) -> tuple[Trainer, ...]:
    """The trainers of ``scripts``, without those that archlint knows nothing of."""
    trainers = {trainer.value: trainer for trainer in Trainer}
    return tuple(trainers[f"trl-{name}"] for name in scripts if f"trl-{name}" in trainers)


def trainer_argument(name: str, given: Any) -> Any:
    """The value of an argument of TRL's trainers; words are read as their command line reads them.

    Raises:
        PlanError: TRL has no such argument, or the value is none of its kind.
    """
    version, keys = known_keys(Trl.table)
    if name not in keys:
        near = difflib.get_close_matches(str(name), sorted(keys), 1)
        raise PlanError(f"TRL {version} has no {name!r}{f'; did you mean {near[0]}?' if near else ''}")
    if given is None or (isinstance(given, str) and given.lower() in ("none", "null")):
        return None
    read: Callable[[Any], Any] = take.TRAINER_ARGUMENTS.get(name, _anything)
    try:
        return read(given)
    except ValueError as error:
        raise PlanError(f"{name} takes {error}, not {given!r}") from error


def _anything(given: Any) -> Any:
    if not isinstance(given, str):
        return given
    try:
        return json.loads(given.lower() if given in ("True", "False") else given)
    except ValueError:
        return given
