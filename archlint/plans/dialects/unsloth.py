"""unsloth: ``get_peft_model`` in Python, and the command ``unsloth train``."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from archlint.core.blueprint import Blueprint
from archlint.plans.dialect import Means, Reading
from archlint.plans.dialects import reading as take
from archlint.plans.dialects.flat import FlatDialect, Key, Settings, affirmed
from archlint.plans.dialects.linears import is_composite, is_linear, language_model, modules, reaches, redirected
from archlint.plans.dialects.trainer_calls import loads_by_unsloth
from archlint.plans.dialects.unsloth_layers import USUAL, Parts, expert_parameters, expression
from archlint.plans.document import Document, PlanError, Section

_EMBEDDINGS = frozenset({"embed_tokens", "lm_head"})
_ALL = "all-linear"
_FLAGS = {
    "finetune_vision_layers": "vision",
    "finetune_language_layers": "language",
    "finetune_attention_modules": "attention",
    "finetune_mlp_modules": "mlp",
    "finetune_audio_layers": "audio",
}


class Unsloth(FlatDialect):
    """unsloth 2026.10.9: ``models/llama.py`` and ``models/vision.py``, and ``peft_utils.py`` of unsloth_zoo.

    ``FastLanguageModel`` targets the seven usual projections unasked; the other classes all linears whose name occurs
    more than once. A list is turned into an expression of parts, blocks and names unless everything is to be
    adapted, and for models that unsloth has no kernels for. Which those are stands in a table of model types; here
    the names are kept where the expression reaches the same layers and there are no fused experts, whose
    parameters unsloth adds. ``embed_tokens`` and ``lm_head`` are trained in full instead. PEFT is patched to adapt
    the linear inside a wrapper. What the kernels of state-space models read is left out where unsloth chooses the
    names: what PEFT refuses for the type of model, or of a part of it. The linears that embed images, and those of
    audio towers, are taken for some model types only; here wherever they have the names that unsloth knows.

    No trainer stays what it is beside unsloth: its compiler writes the models' forwards anew, with losses fused into
    them (``compiler.py`` of unsloth_zoo), and so it does with TRL's trainers, of which SFTTrainer is kept from fusing
    the head itself (``models/rl.py``); gradient checkpointing is unsloth's own.
    """

    name = "unsloth"
    title = "unsloth"
    table = "unsloth"
    means = Means()
    signs = frozenset({"use_gradient_checkpointing", "finetune_vision_layers", "qat_scheme", "random_state"})
    calls = frozenset({"get_peft_model"})
    settled = {"task_type": ("CAUSAL_LM",)}
    keys = (
        Key("r", "r", take.integer, 16),
        Key("target_modules", "target_modules", take.one_or_names, places=True),
        Key("target_parameters", "target_parameters", take.names, places=True),
        Key("exclude_modules", "exclude_modules", take.one_or_names, places=True),
        Key("lora_alpha", "lora_alpha", take.number, 16),
        Key("lora_dropout", "lora_dropout", take.number, 0.0),
        Key("bias", "bias", take.text, "none"),
        Key("modules_to_save", "modules_to_save", take.words, places=True),
        Key("layers_to_transform", "layers_to_transform", take.layers, places=True),
        Key("layers_pattern", "layers_pattern", take.words, places=True),
        Key("use_rslora", "use_rslora", take.flag, False),
        Key("use_dora", "use_dora", take.flag),
        Key("init_lora_weights", "init_lora_weights", take.flag_or_text, True),
        Key("rank_pattern", "rank_pattern", take.table),
        Key("alpha_pattern", "alpha_pattern", take.table),
        Key("trainable_token_indices", "trainable_token_indices", take.anything),
        Key("ensure_weight_tying", "ensure_weight_tying", take.flag),
        Key("fan_in_fan_out", "fan_in_fan_out", take.flag),
        Key("finetune_last_n_layers", None, take.integer, places=True),
        *(Key(name, None, take.flag, places=True) for name in _FLAGS),
    )

    def _claim(self, document: Document, section: Section) -> int:
        owner, _, call = section.about.rpartition(".")
        if document.syntax == "Python" and call in self.calls and owner.rpartition(".")[2].startswith("Fast"):
            return super()._claim(document, section)
        return 0

    def read(self, document: Document, section: Section) -> Reading:
        settings = self.settings(document, section)
        if len(section.words) > 1:
            raise PlanError(f"{document.path}:{section.words[1].line}: archlint reads arguments by their names only")
        language = section.about.rpartition(".")[0].rpartition(".")[2] == "FastLanguageModel"
        return _reading(self, settings, language, settings["target_modules"], _base_model(document))

    def choose(self, reading: Reading, blueprint: Blueprint) -> dict[str, Any]:
        return _chosen(reading, blueprint)

    def fragment(self, arguments: Mapping[str, Any], base_model: str, training: Mapping[str, Any] | None = None) -> str:
        # FastModel takes every model, and gives PEFT the targets as they are
        settings = self.spell(arguments)
        lines = [
            "from unsloth import FastModel",
            "",
            f"model, tokenizer = FastModel.from_pretrained({_literal(base_model)})",
            "model = FastModel.get_peft_model(",
            "    model,",
            *(f"    {key}={_literal(value)}," for key, value in settings.items()),
            ")",
        ]
        return "\n".join(lines) + "\n"


def _lower(data: Any) -> str:
    return take.text(data).strip().lower()


def _joined(value: Any) -> str:
    if isinstance(value, str):
        raise PlanError("unsloth train has no key for a regular expression: its target_modules are names")
    return ",".join(value)


class UnslothCommand(FlatDialect):
    """The command ``unsloth train`` of unsloth 2026.10.9 (``unsloth_cli/config.py``), which has its own defaults.

    A model with a tower is adapted as ``FastVisionModel`` does, whatever the names say.
    """

    name = "unsloth-train"
    title = "unsloth train"
    table = "unsloth_command"
    means = Means(expression=False, exclusion=False, parameters=False)
    signs = frozenset()
    commands = ("unsloth train",)
    settled = {"task_type": ("CAUSAL_LM",), "bias": ("none",)}
    keys = (
        Key("lora_r", "r", take.integer, 64),
        Key("target_modules", "target_modules", take.commas, USUAL, places=True, write=_joined),
        Key("lora_alpha", "lora_alpha", take.integer, 16),
        Key("lora_dropout", "lora_dropout", take.number, 0.0),
        Key("use_rslora", "use_rslora", take.flag, False),
        Key("use_dora", "use_dora", take.flag, False),
        Key("vision_all_linear", None, take.flag, False, places=True),
        Key("training_type", None, _lower, "lora", places=True),
        Key("model", None, take.text),
        Key("config", None, take.text),
        *(Key(name, None, take.flag, True, places=True) for name in _FLAGS if name != "finetune_audio_layers"),
    )

    def read(self, document: Document, section: Section) -> Reading:
        settings = self.settings(document, affirmed(section, self.table))
        if settings["training_type"] != "lora":
            place = settings.place("training_type")
            raise PlanError(f"{place}: training_type is {settings['training_type']}: unsloth trains the whole model")
        if "config" in settings.entries:
            settings.note("config", f"archlint does not look into {settings['config']}: it is a plan of its own")
        reading = _reading(self, settings, True, settings["target_modules"], settings["model"])
        seeing = {part: settings[name] for name, part in _FLAGS.items() if name in settings.values}
        hints = {**reading.hints, "seeing": seeing, "all": settings["vision_all_linear"]}
        return replace(reading, hints=hints)

    def choose(self, reading: Reading, blueprint: Blueprint) -> dict[str, Any]:
        if is_composite(blueprint):
            targets = _ALL if reading.hints["all"] else None
            hints = {"language": False, "parts": reading.hints["seeing"], "last": None}
            reading = replace(reading, arguments={**reading.arguments, "target_modules": targets}, hints=hints)
        return _chosen(reading, blueprint)

    def fragment(self, arguments: Mapping[str, Any], base_model: str, training: Mapping[str, Any] | None = None) -> str:
        spelled = {"model": base_model, "training_type": "lora", **self.spell(arguments)}
        options = [_option(key, value) for key, value in spelled.items() if value is not None]
        return " \\\n    ".join(["unsloth train", *options]) + "\n"


def _option(key: str, value: Any) -> str:
    name = key.replace("_", "-")
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no-{name}"
    return f"--{name} {shlex.quote(str(value))}"


def _reading(dialect: FlatDialect, settings: Settings, language: bool, targets: Any, base_model: str | None) -> Reading:
    if targets is None and language:
        targets = USUAL
        settings.note("target_modules", "FastLanguageModel takes the seven usual projections")
    saved = list(settings.values.get("modules_to_save") or [])
    moved = [name for name in targets if name.rpartition(".")[2] in _EMBEDDINGS] if isinstance(targets, list) else []
    if moved:
        targets = [name for name in targets if name not in moved]
        saved += [name for name in moved if name not in saved]
        settings.note("target_modules", f"unsloth trains {', '.join(moved)} in full: as modules_to_save")
    default = {"vision": not language, "audio": False}
    given = {part: settings.values.get(name) for name, part in _FLAGS.items()}
    parts = {part: default.get(part, True) if value is None else value for part, value in given.items()}
    return dialect.reading(
        settings,
        base_model=base_model,
        arguments={"target_modules": targets, "modules_to_save": saved or None, "task_type": "CAUSAL_LM"},
        waits=True,
        wants_all=targets == _ALL,
        hints={"language": language, "parts": parts, "last": settings.values.get("finetune_last_n_layers")},
    )


def _chosen(reading: Reading, blueprint: Blueprint) -> dict[str, Any]:
    arguments = dict(reading.arguments)
    language = reading.hints["language"]
    parts = Parts(**reading.hints["parts"])
    given = arguments.get("target_modules")
    targets: str | list[str]
    if given is None or (given == _ALL and not language):
        parts = Parts(audio=True) if given == _ALL else parts
        targets = expression(blueprint, parts, None)
    elif isinstance(given, str):
        targets = given
    elif parts.are_all:
        targets = list(given)
    else:
        targets = expression(blueprint, parts, list(given))
    asked = given if isinstance(given, list) else targets
    experts = expert_parameters(blueprint, asked, parts)
    if isinstance(given, list) and not experts and _alike(blueprint, targets, given):
        targets = list(given)
    arguments["target_modules"] = targets
    if experts and not arguments.get("target_parameters"):
        arguments["target_parameters"] = experts
    if reading.hints.get("last") is not None and arguments.get("layers_to_transform") is None:
        count = _layers(blueprint)
        last = max(1, min(reading.hints["last"], count))
        arguments["layers_to_transform"] = list(range(count - last, count))
    return redirected(_layered(arguments, blueprint), blueprint)


def _alike(blueprint: Blueprint, targets: str | list[str], names: list[str]) -> bool:
    """Whether ``targets`` reach the same linears as bare ``names``."""
    paths = [site.path for site in modules(blueprint) if is_linear(site) or site.inner]
    return all(reaches(targets, path) == reaches(names, path) for path in paths)


def _layered(arguments: dict[str, Any], blueprint: Blueprint) -> dict[str, Any]:
    """An expression for some layers only as the paths it comes to: PEFT takes layers beside a list alone."""
    targets, layers = arguments.get("target_modules"), arguments.get("layers_to_transform")
    if not isinstance(targets, str) or targets == _ALL or layers is None:
        return arguments
    wanted = {layers} if isinstance(layers, int) else set(layers)
    paths = [
        site.path for site in modules(blueprint) if reaches(targets, site.path) and (is_linear(site) or site.inner)
    ]
    kept = [path for path in paths if (found := re.search(r"\.(\d+)\.", path)) and int(found[1]) in wanted]
    rest = {key: value for key, value in arguments.items() if key not in ("layers_to_transform", "layers_pattern")}
    return {**rest, "target_modules": kept}


def _layers(blueprint: Blueprint) -> int:
    inside = language_model(blueprint) or ""
    paths = (site.path for site in blueprint.sites if site.path.startswith(inside))
    return max((int(found[1]) + 1 for path in paths if (found := re.search(r"\.layers\.(\d+)", path))), default=1)


def _base_model(document: Document) -> str | None:
    """What the file's first ``from_pretrained`` of unsloth loads."""
    for section in document.sections:
        if loads_by_unsloth(section):
            given = section.entries.get("model_name")
            data = given.data if given is not None else next((word.data for word in section.words), None)
            return data if isinstance(data, str) else None
    return None


def _literal(value: Any) -> str:
    if isinstance(value, str) and "\\" in value and "'" not in value and not value.endswith("\\"):
        return f"r'{value}'"
    return repr(value)
