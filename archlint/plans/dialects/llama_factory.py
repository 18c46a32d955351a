"""LLaMA-Factory's YAML, JSON and command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from archlint.core.blueprint import Blueprint, Kind, Role, Site
from archlint.core.training import Trainer
from archlint.core.trial import LORA
from archlint.plans.dialect import Means, Reading, names_single_layers
from archlint.plans.dialects import reading as take
from archlint.plans.dialects.flat import FlatDialect, Key, Settings, facts, trainer_keys
from archlint.plans.dialects.linears import TOWERS, is_composite, modules, tops
from archlint.plans.dialects.yaml_text import yaml_lines
from archlint.plans.document import Document, PlanError, Section

_ONLY_TOWERS = {"freeze_vision_tower": False, "freeze_language_model": True}


def _joined(value: Any) -> str:
    if isinstance(value, str) and value != "all-linear":
        raise PlanError("LLaMA-Factory has no regular expression for lora_target: it takes names")
    return "all" if value == "all-linear" else ",".join(value)


class LlamaFactory(FlatDialect):
    """LLaMA-Factory 0.9.5: ``hparams/finetuning_args.py`` has the keys, ``model/adapter.py`` makes the config.

    ``lora_target: all`` stands for the names of all modules whose class is called something with Linear, outside the
    output head. In a model that the tool knows as composite (``model/model_utils/visual.py``), towers and connectors
    are left out as the ``freeze_*`` keys say, and every module whose path holds one of the target names is listed by
    its full path. Which models these are is the tool's table; which parts they have is told by roles, not by it. A
    model that the tool does not know is adapted by the bare names, in its towers too.

    The stages ``pt`` and ``sft`` are trained with transformers' Trainer (``train/pt``, ``train/sft``), and so with the
    model's own forward and loss. The trainers of the others (``train/dpo``, ``train/kto``, ``train/rm``, ``train/ppo``)
    take the model's own logits and a loss of their own: TRL's classes are not even initialised. Unless it is disabled,
    gradient checkpointing is turned on past the Trainer, and only in a class that supports it
    (``model/model_utils/checkpointing.py``): what the Trainer is given is ``gradient_checkpointing``.
    """

    name = "llama-factory"
    title = "LLaMA-Factory"
    table = "llama_factory"
    means = Means(expression=False, exclusion=False, parameters=False)
    signs = frozenset(
        {
            "finetuning_type",
            "lora_target",
            "oft_target",
            "additional_target",
            "stage",
            "cutoff_len",
            "dataset_dir",
            "freeze_vision_tower",
            "freeze_multi_modal_projector",
            "freeze_language_model",
            "pissa_init",
        }
    )
    pairs = (frozenset({"model_name_or_path", "template"}), frozenset({"model_name_or_path", "lora_rank"}))
    commands = ("llamafactory-cli", "lmf")
    settled = {"bias": ("none",), "task_type": ("CAUSAL_LM",)}
    needless = frozenset({"router_aux_loss_coef"})
    keys = (
        Key("lora_rank", "r", take.integer, 8),
        Key("lora_alpha", "lora_alpha", take.integer),
        Key("lora_dropout", "lora_dropout", take.number, 0.0),
        Key("lora_target", "target_modules", take.commas, ["all"], places=True, write=_joined),
        Key("additional_target", "modules_to_save", take.commas, places=True, write=",".join),
        Key("use_rslora", "use_rslora", take.flag, False),
        Key("use_dora", "use_dora", take.flag, False),
        Key("pissa_init", None, take.flag, False),
        Key("pissa_iter", None, take.integer, 16),
        Key("oft_rank", None, take.integer, 0),
        Key("oft_block_size", None, take.integer, 32),
        Key("module_dropout", None, take.number, 0.0),
        Key("finetuning_type", None, take.text, "lora", places=True),
        Key("model_name_or_path", None, take.text),
        Key("adapter_name_or_path", None, take.commas),
        Key("create_new_adapter", None, take.flag, False),
        Key("freeze_vision_tower", None, take.flag, True, places=True),
        Key("freeze_multi_modal_projector", None, take.flag, True, places=True),
        Key("freeze_language_model", None, take.flag, False, places=True),
        Key("use_llama_pro", None, take.flag, False, places=True),
        Key("resize_vocab", None, take.flag, False),
        Key("use_unsloth", None, take.flag, False),
        Key("stage", None, take.text, "sft"),
        *trainer_keys("gradient_checkpointing", "gradient_accumulation_steps", "weight_decay"),
    )

    def read(self, document: Document, section: Section) -> Reading:
        settings = self.settings(document, section)
        kind = settings["finetuning_type"]
        if kind not in ("lora", "oft"):
            raise PlanError(f"{settings.place('finetuning_type')}: finetuning_type is {kind}: no adapters")
        if settings["use_llama_pro"]:
            place = settings.place("use_llama_pro")
            raise PlanError(f"{place}: use_llama_pro adapts expanded blocks, which archlint does not build")
        if settings["adapter_name_or_path"] and not settings["create_new_adapter"]:
            settings.note("adapter_name_or_path", "LLaMA-Factory goes on with this adapter and its own settings")
        if settings["use_unsloth"]:
            settings.note("use_unsloth", "unsloth puts the adapters in; archlint tries what PEFT does")
        if "lora_target" not in settings.entries:
            settings.note("lora_target", "LLaMA-Factory takes lora_target: all")
        for key in ("freeze_vision_tower", "freeze_multi_modal_projector", "freeze_language_model"):
            if key in settings.entries:
                settings.note(key, f"archlint tells the parts of {key} by their role, not by a table of model types")
        hints = {
            "all": settings["lora_target"] == ["all"],
            "towers": not settings["freeze_vision_tower"],
            "connectors": not settings["freeze_multi_modal_projector"],
            "text": not settings["freeze_language_model"],
            "resized": settings["resize_vocab"],
        }
        return self.reading(
            settings,
            base_model=settings["model_name_or_path"],
            tuner=LORA if kind == "lora" else "OFT",
            arguments=_lora(settings) if kind == "lora" else _oft(settings),
            waits=True,
            wants_all=hints["all"],
            hints=hints,
        )

    def trainers(self, settings: Settings) -> tuple[Trainer, ...]:
        is_plain = settings["stage"] in ("pt", "sft") and not settings["use_unsloth"]
        return (Trainer.TRANSFORMERS,) if is_plain else ()

    def choose(self, reading: Reading, blueprint: Blueprint) -> dict[str, Any]:
        arguments, hints = dict(reading.arguments), reading.hints
        names = arguments["target_modules"]
        composite = is_composite(blueprint) and blueprint.model.model_type in facts(self.table)["composite"]
        # the connector's own names are never collected, even where it is trained
        if hints.get("all"):
            unnamed = {Role.PROJECTOR, *(() if hints["towers"] else TOWERS)} if composite else set()
            apart = tops(blueprint, unnamed)
            names = sorted(
                {
                    site.leaf
                    for site in modules(blueprint)
                    if "Linear" in site.type.name
                    and "Embedding" not in site.type.name
                    and "lm_head" not in site.path
                    and not _below(site.path, apart)
                }
            )
        if composite:
            apart = tops(blueprint, _frozen(hints))
            paths = [site.path for site in modules(blueprint) if _listed(site, names) and not _below(site.path, apart)]
            names = paths
        arguments["target_modules"] = names
        if hints.get("resized") and not arguments.get("modules_to_save"):
            embeddings = [site.leaf for site in blueprint.select(Kind.EMBEDDING, role=Role.EMBEDDING)][:1]
            head = blueprint.facts.output_embeddings
            arguments["modules_to_save"] = sorted({*embeddings, *([head.rpartition(".")[2]] if head else [])})
        return arguments

    def fragment(self, arguments: Mapping[str, Any], base_model: str, training: Mapping[str, Any] | None = None) -> str:
        switch = {"model_name_or_path": base_model, "stage": "sft", "do_train": True, "finetuning_type": "lora"}
        return yaml_lines({**switch, **self.spell(arguments), **self.spell_needed(training)})

    def shorthands(
        self, arguments: Mapping[str, Any], base_model: str, training: Mapping[str, Any] | None = None
    ) -> Iterator[str]:
        targets = arguments.get("target_modules")
        if names_single_layers(targets):
            leaves = sorted({name.rpartition(".")[2] for name in targets or ()})
            for freezing in ({}, _ONLY_TOWERS):
                for names in ("all-linear", leaves):
                    text = self.fragment({**arguments, "target_modules": names}, base_model, training)
                    yield text + yaml_lines(freezing)

    def spell(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        arguments = dict(arguments)
        initial = arguments.pop("init_lora_weights", None)
        spelled = super().spell(arguments)
        if initial is not None and initial is not True:
            iterations = str(initial).removeprefix("pissa_niter_")
            if initial != "pissa" and not iterations.isdigit():
                raise PlanError(f"LLaMA-Factory has no key for init_lora_weights {initial!r}")
            spelled |= {"pissa_init": True, "pissa_iter": -1 if initial == "pissa" else int(iterations)}
        return spelled


def _lora(settings: Settings) -> dict[str, Any]:
    initial = f"pissa_niter_{settings['pissa_iter']}" if settings["pissa_iter"] != -1 else "pissa"
    return {
        "lora_alpha": settings["lora_alpha"] or 2 * settings["lora_rank"],
        "init_lora_weights": initial if settings["pissa_init"] else None,
        "task_type": "CAUSAL_LM",
    }


def _oft(settings: Settings) -> dict[str, Any]:
    nothing = dict.fromkeys(("lora_alpha", "lora_dropout", "use_rslora", "use_dora"))
    return {
        **nothing,
        "r": settings["oft_rank"],
        "oft_block_size": settings["oft_block_size"],
        "module_dropout": settings["module_dropout"],
        "task_type": "CAUSAL_LM",
    }


def _frozen(hints: Mapping[str, Any]) -> set[Role]:
    frozen: set[Role] = set()
    if not hints["towers"]:
        frozen.update(TOWERS)
    if not hints["connectors"]:
        frozen.add(Role.PROJECTOR)
    if not hints["text"]:
        frozen.update((Role.TEXT, Role.HEAD, Role.EMBEDDING))
    return frozen


def _listed(site: Site, names: list[str]) -> bool:
    # the tool keeps convolutions and norms that a name happens to be part of away by a list for each model type
    return site.kind not in (Kind.CONV, Kind.NORM) and any(name in site.path for name in names)


def _below(path: str, parts: list[str]) -> bool:
    return any(f"{path}.".startswith(f"{part}.") for part in parts)
