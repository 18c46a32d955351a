"""What concerns the model as a whole."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn

from archlint.core.blueprint import Facts, Kind, Site
from archlint.skeleton import Skeleton
from archlint.survey.roles import output_embeddings


def gather(skeleton: Skeleton, sites: Iterable[Site]) -> Facts:
    """The facts of a skeleton whose census is ``sites``."""
    model = skeleton.model
    paths = {id(module): path for path, module in model.named_modules()}
    inputs, error = _input_embeddings(model)
    head = output_embeddings(model)
    decayed = _decayed(model)
    norms = [f"{site.path}.{weight.name}" for site in sites if site.kind is Kind.NORM for weight in site.weights]
    vectors = {name for name, parameter in model.named_parameters() if parameter.ndim == 1}
    config = getattr(model, "config", None)
    return Facts(
        input_embeddings=paths.get(id(inputs)) if inputs is not None else None,
        output_embeddings=paths.get(id(head)) if head is not None else None,
        embeddings_error=error,
        is_generative=hasattr(model, "prepare_inputs_for_generation"),
        is_encoder_decoder=bool(getattr(config, "is_encoder_decoder", False)),
        new_heads=tuple(_new_heads(model)),
        decayed_norms=tuple(name for name in norms if name in decayed),
        decayed_vectors=tuple(sorted((decayed & vectors) - set(norms))),
        missing_wrap_classes=tuple(_missing_wrap_classes(model)),
        quantization=_described(skeleton.quantization),
        custom_code=skeleton.custom_code,
        ran_custom_code=skeleton.ran_custom_code,
        peft_default=_peft_default(getattr(config, "model_type", None)),
    )


def _input_embeddings(model: nn.Module) -> tuple[nn.Module | None, str | None]:
    """What PEFT asks a model for before any injection, and what the model raises instead."""
    getter = getattr(model, "get_input_embeddings", None)
    if getter is None:
        return None, None
    try:
        return getter(), None
    except Exception as error:  # the classes raise NotImplementedError, AttributeError and others
        return None, f"{type(error).__name__}: {' '.join(str(error).split())}"


def _decayed(model: nn.Module) -> frozenset[str]:
    """The parameters to which transformers' Trainer applies weight decay, by its own rule."""
    from transformers.trainer import Trainer

    return frozenset(Trainer.get_decay_parameter_names(None, model))  # type: ignore[arg-type]


def _new_heads(model: nn.Module) -> Iterable[str]:
    """Linear heads on a backbone that is published without them, such as a classifier.

    A head of a language model is its output embedding; a head that is neither that nor tied to the backbone's
    weights, in a class that transformers lists for a task with labels, is initialised at random.
    """
    labelled = "labels" in inspect.signature(type(model).forward).parameters
    base = getattr(model, "base_model", model)
    if not labelled or base is model or output_embeddings(model) is not None or not _is_classifier(model):
        return
    for name, child in model.named_children():
        if child is not base:
            yield from (
                f"{name}.{path}".rstrip(".") for path, part in child.named_modules() if isinstance(part, nn.Linear)
            )


def _is_classifier(model: nn.Module) -> bool:
    labels = getattr(getattr(model, "config", None), "num_labels", None)
    return any(
        isinstance(part, nn.Linear) and part.out_features == labels
        for child in model.children()
        if child is not getattr(model, "base_model", None)
        for part in child.modules()
    )


def _missing_wrap_classes(model: nn.Module) -> Iterable[str]:
    present = {type(module).__name__ for module in model.modules()}
    declared = getattr(model, "_no_split_modules", None) or ()
    return sorted(name for name in declared if name not in present)


def _described(quantization: Mapping[str, Any]) -> dict[str, str]:
    """The settings of a quantization that a reader needs, as words."""
    if not quantization:
        return {}
    method = quantization.get("quant_method") or quantization.get("quant_algo") or "unnamed method"
    described = {"method": str(method)}
    for key in ("bits", "fmt", "format", "quant_algo", "weight_block_size", "modules_to_not_convert", "ignore"):
        if quantization.get(key):
            described[key] = str(quantization[key])
    return described


def _peft_default(model_type: str | None) -> tuple[str, ...] | str | None:
    from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as DEFAULTS

    found = DEFAULTS.get(model_type) if model_type else None
    return found if found is None or isinstance(found, str) else tuple(found)
