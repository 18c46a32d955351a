"""PEFT itself: ``adapter_config.json``, the same keys in YAML, and calls such as ``LoraConfig(…)`` in Python."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import Any

from archlint.core.trial import LORA
from archlint.plans import peft_configs
from archlint.plans.dialect import Dialect, Means, Reading, Remark
from archlint.plans.dialects.trainer_calls import trainer_of_script
from archlint.plans.document import COMPUTED, UNREAD, Document, Entry, PlanError, Section

_SIGNS = frozenset({"peft_type", "base_model_name_or_path", "r", "task_type", "peft_version", "init_lora_weights"})
"""Keys that no trainer has."""
_PLACING = frozenset(
    {
        "target_modules",
        "target_parameters",
        "exclude_modules",
        "feedforward_modules",
        "modules_to_save",
        "layers_to_transform",
        "layers_pattern",
        "peft_type",
    }
)
_MODEL_KEYS = ("model_type", "architectures")
_LOADERS = ("from_pretrained", "SFTTrainer", "DPOTrainer", "GRPOTrainer", "KTOTrainer", "RewardTrainer")
"""Calls that name a model: the first word, or the ``model`` argument."""


class Peft(Dialect):
    """The arguments by PEFT's own names."""

    name = "peft"
    title = "PEFT"
    means = Means()

    def claims(self, document: Document) -> list[tuple[int, Section]]:
        found = []
        for section in document.sections:
            if section.about:
                config = peft_configs.class_named(section.about.rpartition(".")[2])
                if config is not None and config.places_by_module:
                    found.append((len(_SIGNS), section))
            elif not any(key in section.entries for key in _MODEL_KEYS):
                signs = len(_SIGNS & section.entries.keys())
                if signs or section.entries.keys() & peft_configs.config_class(LORA).arguments.keys():
                    found.append((signs, section))
        return found

    def read(self, document: Document, section: Section) -> Reading:
        config = _config(document, section)
        if section.words:
            raise PlanError(f"{document.path}:{section.words[0].line}: archlint reads arguments by their names only")
        entries = {key: entry for key, entry in section.entries.items() if key != "peft_type"}
        for entry in entries.values():
            _check(document, config, entry)
        known = {key: entry for key, entry in entries.items() if key in config.arguments}
        training, remarks = trainer_of_script(document)
        unknown = (remark for entry in entries.values() if (remark := _remark(config, entry)) is not None)
        arguments = config.given({key: entry.data for key, entry in known.items() if entry.data is not COMPUTED})
        return Reading(
            arguments=arguments,
            tuner=config.tuner,
            base_model=_base_model(document, section),
            keys={key: (key,) for key in known},
            unknown=(*unknown, *remarks),
            training=training,
        )

    def spell(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return dict(arguments)

    def spell_training(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return dict(arguments)  # in a call of the trainer's own config: PEFT's has none of them

    def fragment(self, arguments: Mapping[str, Any], base_model: str, training: Mapping[str, Any] | None = None) -> str:
        content = {"peft_type": LORA, "base_model_name_or_path": base_model, **arguments}
        return json.dumps(content, indent=2) + "\n"


def _config(document: Document, section: Section) -> peft_configs.ConfigClass:
    if section.about:
        found = peft_configs.class_named(section.about.rpartition(".")[2])
        assert found is not None  # claims() saw to it
        return found
    entry = section.entries.get("peft_type")
    if entry is None or entry.data is None:
        return peft_configs.config_class(LORA)
    place = f"{document.path}:{entry.line}"
    if not isinstance(entry.data, str):
        raise PlanError(f"{place}: peft_type must be a text, not {json.dumps(entry.data)[:60]}")
    try:
        config = peft_configs.config_class(entry.data.upper())
    except PlanError as error:
        raise PlanError(f"{place}: {error}") from error
    if not config.places_by_module:
        raise PlanError(f"{place}: {config.tuner} places no adapters by module: there is nothing to check in it")
    return config


def _check(document: Document, config: peft_configs.ConfigClass, entry: Entry) -> None:
    """Refuse a value that PEFT can make nothing of.

    Raises:
        PlanError: it is of another type, or is computed and decides where adapters go.
    """
    key, data = entry.key, entry.data
    place = f"{document.path}:{entry.line}"
    if key == UNREAD or (data is COMPUTED and key in _PLACING):
        raise PlanError(f"{place}: {key} is computed; archlint reads literals only")
    if data is not COMPUTED and (wanted := config.lacking(key, data)) is not None:
        shown = json.dumps(data, ensure_ascii=False, default=repr)[:60]
        raise PlanError(f"{place}: {key} must be {wanted}, not {shown}")


def _remark(config: peft_configs.ConfigClass, entry: Entry) -> Remark | None:
    key = entry.key
    if key in config.arguments:
        return Remark(entry.line, f"{key} is computed") if entry.data is COMPUTED else None
    if key in peft_configs.bookkeeping():
        return None
    close = difflib.get_close_matches(key, config.arguments, n=1, cutoff=0.75)
    hint = f"; did you mean {close[0]}?" if close else ""
    return Remark(entry.line, f"the installed PEFT does not know {key}, and ignores it{hint}")


def _base_model(document: Document, section: Section) -> str | None:
    entry = section.entries.get("base_model_name_or_path")
    if entry is not None:
        return entry.data if isinstance(entry.data, str) and entry.data else None
    return model_in_script(document)


def model_in_script(document: Document) -> str | None:
    """The model that the calls of a script load; ``None`` where they load none by a literal, or several."""
    names: dict[str, None] = {}
    for section in document.sections:
        call = section.about.rpartition(".")[2]
        if call in _LOADERS and "Tokenizer" not in section.about and "Processor" not in section.about:
            keys = ("pretrained_model_name_or_path", "model_name", "model")
            given = [section.entries[key].value for key in keys if key in section.entries]
            words = [value.data for value in (*given, *section.words[:1]) if isinstance(value.data, str)]
            names.update(dict.fromkeys(words[:1]))
    return next(iter(names)) if len(names) == 1 else None
