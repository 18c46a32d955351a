"""ms-swift's YAML, JSON, command line and Python arguments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from archlint.core.blueprint import Blueprint, Kind, Role, Site
from archlint.core.trial import LORA
from archlint.plans.dialect import Means, Reading, Remark, names_single_layers
from archlint.plans.dialects import reading as take
from archlint.plans.dialects.asking_peft import refused
from archlint.plans.dialects.flat import FlatDialect, Key, Settings
from archlint.plans.dialects.linears import TOWERS, is_composite, is_linear, language_model, modules, tops, wrappers
from archlint.plans.dialects.yaml_text import yaml_lines
from archlint.plans.document import Document, PlanError, Section

_ALL = "all-linear"
_EMBEDDINGS = "all-embedding"
_NORMS = "all-norm"
_SAVED = frozenset({"swift_version", "model_meta", "model_info"})
_ONLY_TOWERS = {"freeze_vit": False, "freeze_llm": True}
_HEADS = ("lm_head", "score", "v_head", "classifier")
_TUNERS = {
    "lora": LORA,
    "longlora": LORA,
    "adalora": "ADALORA",
    "vera": "VERA",
    "boft": "BOFT",
    "fourierft": "FOURIERFT",
}


class MsSwift(FlatDialect):
    """ms-swift 4.6.0: ``arguments/tuner_args.py`` has the keys, ``pipelines/train/tuner.py`` makes the config.

    ``all-linear`` stands for the names of all modules whose class is called something with linear, less heads, each
    with as much of its path before it as no module of another kind ends in (``utils/transformers_utils.py``). Of a
    multimodal model it is a regular expression for those inside the parts that the ``freeze_*`` keys leave. The tool
    finds these parts in a table of model types; here they are told by their roles: the language model is the module
    that holds all of the text, the ViT are the towers, the aligner the connectors.

    Of a list, names that PEFT refuses for the type of model are left out, and with VeRA those whose layers have not
    the shape of the first that has a ``v`` in its name. The tool has a table for the former, the same as PEFT's.

    Its trainers take the model's own forward, but not as transformers' Trainer does: the loss is divided by the number
    of labels outside the model (``compute_sft_loss`` of ``template/base.py``), and the layers of any class are wrapped
    for gradient checkpointing, of which the Trainer is told nothing (``trainers/mixin.py``). Those of ``swift rlhf``
    are subclasses of TRL's before 1.0, with a loss of their own (``rlhf_trainers``).
    """

    name = "ms-swift"
    title = "ms-swift"
    table = "ms_swift"
    refuses_dropout = True
    means = Means(exclusion=False)
    signs = frozenset(
        {
            "tuner_type",
            "train_type",
            "sft_type",
            "tuner_backend",
            "target_regex",
            "freeze_vit",
            "freeze_aligner",
            "freeze_llm",
            "lorap_lr_ratio",
            "rlhf_type",
            "use_swift_lora",
        }
    )
    pairs = (frozenset({"model", "lora_rank"}), frozenset({"model", "target_modules", "lora_alpha"}))
    calls = frozenset({"SftArguments", "TrainArguments", "RLHFArguments", "PretrainArguments", "TunerArguments"})
    commands = ("swift sft", "swift pt", "swift rlhf", "megatron")
    keys = (
        Key("lora_rank", "r", take.integer, 8),
        Key("lora_alpha", "lora_alpha", take.number, 32),
        Key("lora_dropout", "lora_dropout", take.number, 0.05, ("lora_dropout_p",)),
        Key("target_modules", "target_modules", take.one_or_names, [_ALL], ("lora_target_modules",), places=True),
        Key("target_regex", "target_modules", take.text, None, ("lora_target_regex",), places=True),
        Key("target_parameters", "target_parameters", take.words, places=True),
        Key("modules_to_save", "modules_to_save", take.words, [], ("lora_modules_to_save",), places=True),
        Key("lora_bias", "bias", take.text, "none", ("lora_bias_trainable",)),
        Key("use_rslora", "use_rslora", take.flag, False),
        Key("use_dora", "use_dora", take.flag, False),
        Key("init_weights", "init_lora_weights", take.flag_or_text, True, ("init_lora_weights",)),
        Key("task_type", None, take.text, "causal_lm"),
        Key("tuner_type", None, take.text, "lora", ("train_type", "sft_type"), places=True),
        Key("model", None, take.text, None, ("model_id_or_path",)),
        Key("freeze_llm", None, take.flag, False, places=True),
        Key("freeze_vit", None, take.flag, True, places=True),
        Key("freeze_aligner", None, take.flag, True, places=True),
        Key("adapters", None, take.words),
        Key("boft_block_size", None, take.integer, 4),
        Key("boft_block_num", None, take.integer, 0),
        Key("boft_n_butterfly_factor", None, take.integer, 1),
        Key("boft_dropout", None, take.number, 0.0),
        Key("vera_rank", None, take.integer, 256),
        Key("vera_dropout", None, take.number, 0.0),
        Key("vera_d_initial", None, take.number, 0.1),
        Key("vera_projection_prng_key", None, take.integer, 0),
        Key("fourier_n_frequency", None, take.integer, 2000),
        Key("fourier_scaling", None, take.number, 300.0),
        Key("adalora_target_r", None, take.integer, 8),
        Key("adalora_init_r", None, take.integer, 12),
        Key("tuner_backend", None, take.text, "peft"),
        Key("use_swift_lora", None, take.flag, False),
    )
    settled = {"task_type": ("CAUSAL_LM",)}

    def read(self, document: Document, section: Section) -> Reading:
        if section.about.startswith("megatron "):
            place = f"{document.path}:{section.line}"
            raise PlanError(f"{place}: megatron adapts modules of its own making, which archlint does not build")
        settings = self.settings(document, section)
        kind = settings["tuner_type"]
        where = settings.place("tuner_type")
        if kind == "full":
            raise PlanError(f"{where}: tuner_type is full: ms-swift trains the whole model")
        if kind not in _TUNERS:
            raise PlanError(f"{where}: tuner_type {kind} is not read; archlint reads {', '.join(_TUNERS)}")
        if settings["adapters"]:
            settings.note("adapters", "ms-swift goes on with this adapter and its own settings")
        if _TUNERS[kind] == LORA:
            if settings["use_swift_lora"]:
                settings.note("use_swift_lora", "ms-swift puts in LoRA layers of its own; archlint tries PEFT's")
            elif settings["tuner_backend"] != "peft":
                settings.note("tuner_backend", "unsloth puts the adapters in; archlint tries what PEFT does")
        given = settings["target_modules"]
        names: Any = [given] if isinstance(given, str) else given
        if isinstance(given, str) and (document.syntax == "Python" or _is_saved(section)):
            names = given  # a text is handed to PEFT as it is; from a file or a command line it comes in a list
        if settings["target_regex"]:
            names = settings["target_regex"]
        elif not {"target_modules", "target_regex"} & settings.entries.keys():
            settings.note("target_modules", f"ms-swift takes target_modules: {_ALL}")
        for key in ("freeze_llm", "freeze_vit", "freeze_aligner"):
            if key in settings.entries and not _is_saved(section):
                settings.note(key, f"archlint tells the parts of {key} by their role, not by a table of model types")
        saved = settings["modules_to_save"]
        hints = {name: settings[name] for name in ("freeze_llm", "freeze_vit", "freeze_aligner")}
        return self.reading(
            settings,
            base_model=settings["model"],
            tuner=_TUNERS[kind],
            arguments=_ARGUMENTS[_TUNERS[kind]](settings) | {"target_modules": names, "modules_to_save": saved or None},
            waits=isinstance(names, list) or _TUNERS[kind] == "VERA" or bool({_EMBEDDINGS, _NORMS} & set(saved)),
            wants_all=isinstance(names, list) and _ALL in names,
            hints=hints,
        )

    def strangers(self, document: Document, section: Section) -> Iterable[Remark]:
        return () if _is_saved(section) else super().strangers(document, section)

    def choose(self, reading: Reading, blueprint: Blueprint) -> dict[str, Any]:
        arguments = dict(reading.arguments)
        saved = arguments.get("modules_to_save") or []
        for word, sites in ((_EMBEDDINGS, _embeddings(blueprint)), (_NORMS, blueprint.select(Kind.NORM))):
            if word in saved:
                saved = [*(name for name in saved if name != word), *_names(blueprint, sites)]
                arguments["modules_to_save"] = saved
        targets = _targets(blueprint, arguments.get("target_modules"), reading.hints)
        arguments["target_modules"] = _of_one_shape(blueprint, targets) if reading.tuner == "VERA" else targets
        return arguments

    def spell(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        spelled = super().spell(arguments)
        if arguments.get("target_modules") is not None:
            value = arguments["target_modules"]
            if value == _ALL:
                spelled["target_modules"] = [_ALL]
            elif isinstance(value, str):
                spelled["target_regex"] = spelled.pop("target_modules")
        return spelled

    def fragment(self, arguments: Mapping[str, Any], base_model: str, training: Mapping[str, Any] | None = None) -> str:
        settings = {**self.spell(arguments), **self.spell_needed(training)}
        return yaml_lines({"model": base_model, "tuner_type": "lora", **settings})

    def shorthands(
        self, arguments: Mapping[str, Any], base_model: str, training: Mapping[str, Any] | None = None
    ) -> Iterator[str]:
        targets = arguments.get("target_modules")
        if names_single_layers(targets) or (isinstance(targets, str) and targets != _ALL):
            text = self.fragment({**arguments, "target_modules": _ALL}, base_model, training)
            yield from (text + yaml_lines(freezing) for freezing in ({}, _ONLY_TOWERS))


def _is_saved(section: Section) -> bool:
    """Whether it is the ``args.json`` that ms-swift saves, which has all that it worked out besides the keys."""
    return bool(_SAVED & section.entries.keys())


_ONLY_LORA = (
    "r",
    "lora_alpha",
    "lora_dropout",
    "bias",
    "use_rslora",
    "use_dora",
    "init_lora_weights",
    "target_parameters",
)


def _lora(settings: Settings) -> dict[str, Any]:
    task = settings["task_type"].upper()
    tasks = {"EMBEDDING": None, "RERANKER": "SEQ_CLS", "GENERATIVE_RERANKER": "CAUSAL_LM", "DECISION": "CAUSAL_LM"}
    return {"task_type": tasks.get(task, task)}


def _adalora(settings: Settings) -> dict[str, Any]:
    return {"target_r": settings["adalora_target_r"], "init_r": settings["adalora_init_r"], "target_parameters": None}


def _vera(settings: Settings) -> dict[str, Any]:
    return {
        **dict.fromkeys(_ONLY_LORA),
        "r": settings["vera_rank"],
        "vera_dropout": settings["vera_dropout"],
        "d_initial": settings["vera_d_initial"],
        "projection_prng_key": settings["vera_projection_prng_key"],
    }


def _boft(settings: Settings) -> dict[str, Any]:
    names = ("boft_block_size", "boft_block_num", "boft_n_butterfly_factor", "boft_dropout")
    return {**dict.fromkeys(_ONLY_LORA), **{name: settings[name] for name in names}}


def _fourierft(settings: Settings) -> dict[str, Any]:
    own = {"n_frequency": settings["fourier_n_frequency"], "scaling": settings["fourier_scaling"]}
    return {**dict.fromkeys(_ONLY_LORA), **own}


_ARGUMENTS = {LORA: _lora, "ADALORA": _adalora, "VERA": _vera, "BOFT": _boft, "FOURIERFT": _fourierft}


def _targets(blueprint: Blueprint, targets: Any, hints: Mapping[str, Any]) -> Any:
    """``get_target_modules``: what the words of a list stand for."""
    if not isinstance(targets, list):
        return targets
    embeddings = _embeddings(blueprint) if _EMBEDDINGS in targets else ()
    linears = _linears(blueprint) if _ALL in targets else ()
    if linears and is_composite(blueprint):
        return _expression(blueprint, (*linears, *embeddings), hints)
    chosen = [name for name in targets if name not in (_ALL, _EMBEDDINGS)]
    chosen += [*_names(blueprint, linears), *_names(blueprint, embeddings)]
    left_out = refused(blueprint.model.model_type, chosen)
    return [name for name in dict.fromkeys(chosen) if name not in left_out]


def _of_one_shape(blueprint: Blueprint, targets: Any) -> Any:
    """``get_vera_target_modules``: the names for the layers of one shape, where a list is for several.

    Raises:
        PlanError: the tool finds no name to take the shape from.
    """
    names = targets or ()  # a text is gone through by its letters
    shapes = {
        site.path: (site.out_features, site.in_features)
        for site in modules(blueprint)
        if is_linear(site) and any(name in site.path for name in names)
    }
    if len(set(shapes.values())) < 2:
        return targets
    if isinstance(targets, str):
        raise PlanError("ms-swift has no VeRA for a regular expression that reaches layers of several shapes")
    first = next((name for name in names if "v" in name), None)
    shape = next((shape for path, shape in shapes.items() if first is not None and first in path), None)
    if shape is None:
        raise PlanError("ms-swift refuses these targets for VeRA: their shapes differ, and no name holds a v")
    return [name for name in names if any(name in path for path, other in shapes.items() if other == shape)]


def _linears(blueprint: Blueprint) -> tuple[Site, ...]:
    wrapped = {site.path for site in wrappers(blueprint)}
    return tuple(
        site
        for site in modules(blueprint)
        if "linear" in site.type.name.lower()
        and site.path not in wrapped
        and not any(head in site.path for head in _HEADS)
    )


def _embeddings(blueprint: Blueprint) -> tuple[Site, ...]:
    return tuple(site for site in modules(blueprint) if "Embedding" in (site.type.name, *site.type.bases))


def _names(blueprint: Blueprint, sites: Iterable[Site], part: str = "") -> list[str]:
    """The shortest names for ``sites`` that no other module inside ``part`` ends in.

    The tool compares letters, not whole parts of a path: ``proj`` is also how ``q_proj`` ends.
    """
    chosen = {site.path for site in sites}
    inside = [site.path[len(part) :].lstrip(".") for site in modules(blueprint) if _inside(site.path, part)]
    wanted = {path[len(part) :].lstrip(".") for path in chosen if _inside(path, part)}
    alike = {path: re.sub(r"\d+\.", "{}.", path) for path in inside}
    others = {alike[path] for path in inside if path not in wanted}
    names: dict[str, None] = {}
    for path in inside:
        if path not in wanted:
            continue
        parts = alike[path].split(".")
        own = path.split(".")
        length = 1
        while length < len(parts) and any(other.endswith(".".join(parts[-length:])) for other in others):
            length += 1
        names[".".join(own[-length:])] = None
    return sorted(names)


def _inside(path: str, part: str) -> bool:
    return not part or f"{path}.".startswith(f"{part}.")


def _expression(blueprint: Blueprint, sites: tuple[Site, ...], hints: Mapping[str, Any]) -> str:
    """What the tool makes of all-linear in a multimodal model.

    Raises:
        PlanError: every part is frozen.
    """
    connectors = tops(blueprint, {Role.PROJECTOR})
    text = language_model(blueprint)
    parts = [text] if text is not None and not hints["freeze_llm"] else []
    parts += [] if hints["freeze_vit"] else tops(blueprint, set(TOWERS))
    parts += [] if hints["freeze_aligner"] else connectors
    if not parts:
        raise PlanError("freeze_llm, freeze_vit and freeze_aligner leave nothing to adapt")
    patterns: list[str] = []
    for part in parts:
        names = _names(blueprint, sites, part)
        apart = [path for path in connectors if path.startswith(f"{part}.")]
        ahead = f"(?!({'|'.join(apart)}))" if apart else ""
        if "" in names:
            patterns.append(f"{ahead}{re.escape(part)}")
        if named := [name for name in names if name]:
            patterns.append(rf"{ahead}{re.escape(part)}(?=\.).*\.({'|'.join(named)})")
    return f"^({'|'.join(patterns)})$"
