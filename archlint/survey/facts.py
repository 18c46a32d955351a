"""What concerns the model as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn

from archlint.core.blueprint import Facts, Kind, Site
from archlint.skeleton import Skeleton
from archlint.skeleton.classes import class_for_task
from archlint.survey import unimported
from archlint.survey.quantization import described
from archlint.survey.roles import output_embeddings


def gather(skeleton: Skeleton, sites: Iterable[Site]) -> Facts:
    """The facts of a skeleton whose census is ``sites``."""
    model = skeleton.model
    paths = {id(module): path for path, module in model.named_modules()}
    head = output_embeddings(model)
    decayed = _decayed(model)
    norms = [f"{site.path}.{weight.name}" for site in sites if site.kind is Kind.NORM for weight in site.weights]
    vectors = {name for name, parameter in model.named_parameters() if parameter.ndim == 1}
    config = getattr(model, "config", None)
    return Facts(
        output_embeddings=paths.get(id(head)) if head is not None else None,
        embeddings_error=_embeddings_error(model),
        is_generative=hasattr(model, "prepare_inputs_for_generation"),
        is_encoder_decoder=bool(getattr(config, "is_encoder_decoder", False)),
        main_input=str(getattr(model, "main_input_name", "input_ids")),
        new_heads=tuple(_new_heads(model)),
        task_classes=_task_classes(getattr(config, "model_type", None)),
        decayed_norms=tuple(name for name in norms if name in decayed),
        decayed_vectors=tuple(sorted((decayed & vectors) - set(norms))),
        missing_wrap_classes=tuple(_missing_wrap_classes(model)),
        quantization=described(skeleton.quantization or _quantization_of(config)),
        custom_code=skeleton.custom_code,
        ran_custom_code=skeleton.ran_custom_code,
        peft_default=_peft_default(getattr(config, "model_type", None)),
    )


def _quantization_of(config: Any) -> dict[str, Any]:
    """The quantization that a live model's config tells of: an object once the model is loaded."""
    found = getattr(config, "quantization_config", None) or {}
    return dict(found) if isinstance(found, dict) else found.to_dict()


def _embeddings_error(model: nn.Module) -> str | None:
    """What a model raises when PEFT asks it for its input embeddings, as it does before any injection."""
    getter = getattr(model, "get_input_embeddings", None)
    try:
        if getter is not None:
            getter()
    except Exception as error:  # the classes raise NotImplementedError, AttributeError and others
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    return None


def _decayed(model: nn.Module) -> frozenset[str]:
    """The parameters to which transformers' Trainer applies weight decay, by its own rule."""
    decayed = unimported.function("transformers.trainer", "Trainer.get_decay_parameter_names")
    return frozenset(decayed(None, model))  # it asks nothing of the trainer


_CLASSIFIERS = (
    "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES",
    "MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES",
    "MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES",
    "MODEL_FOR_MULTIPLE_CHOICE_MAPPING_NAMES",
    "MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES",
    "MODEL_FOR_VIDEO_CLASSIFICATION_MAPPING_NAMES",
    "MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES",
)
"""transformers' tables of the classes whose head is made for a task of one's own."""


def _new_heads(model: nn.Module) -> Iterable[str]:
    """Linear layers of heads that a published backbone comes without: a classifier starts at random."""
    base = getattr(model, "base_model", model)
    if base is model or not _is_classifier(model):
        return
    for name, child in model.named_children():
        if child is not base:
            yield from (
                f"{name}.{path}".rstrip(".") for path, part in child.named_modules() if isinstance(part, nn.Linear)
            )


def _task_classes(model_type: str | None) -> dict[str, str]:
    tasks = ("SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS")
    found = {task: class_for_task({"model_type": model_type}, task) for task in tasks}
    return {task: name for task, name in found.items() if name is not None}


def _is_classifier(model: nn.Module) -> bool:
    from transformers.models.auto import modeling_auto

    name = type(model).__name__
    tables = (getattr(modeling_auto, table, {}) for table in _CLASSIFIERS)
    return any(name in known for table in tables for known in _class_names(table))


def _class_names(table: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    return ((names,) if isinstance(names, str) else tuple(names) for names in table.values())


def _missing_wrap_classes(model: nn.Module) -> Iterable[str]:
    present = {type(module).__name__ for module in model.modules()}
    declared = getattr(model, "_no_split_modules", None) or ()
    return sorted(name for name in declared if name not in present)


def _peft_default(model_type: str | None) -> tuple[str, ...] | str | None:
    defaults = unimported.constant("peft.utils.constants", "TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING")
    found = defaults.get(model_type) if model_type else None
    return found if found is None or isinstance(found, str) else tuple(found)
