"""PEFT's tuners: which of them place adapters module by module, and the config that a plan stands for."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import typing
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from archlint.core.trial import Plan

if TYPE_CHECKING:
    from peft import PeftConfig
    from peft.tuners.tuners_utils import BaseTuner


class UnknownTunerError(ValueError):
    """The installed PEFT has no such tuner, or it is one that places nothing by module."""


def tuners() -> tuple[str, ...]:
    """The ``peft_type`` of every tuner of the installed PEFT that places adapters by module, in PEFT's order."""
    return tuple(tuner for tuner in _tables()[0] if places_by_module(tuner))


def places_by_module(tuner: str) -> bool:
    """Whether ``tuner`` is a ``peft_type`` of the installed PEFT whose config says which modules get an adapter.

    Prompt tuning and its kin place nothing by module, nor do mixtures of finished adapters.
    """
    from peft.tuners.tuners_utils import BaseTuner

    configs, models = _tables()
    if tuner not in configs or not issubclass(models.get(tuner, object), BaseTuner):
        return False
    return any(field.name == "target_modules" for field in dataclasses.fields(configs[tuner]))


def config_class(tuner: str) -> type[PeftConfig]:
    """PEFT's config class for a tuner that places adapters by module.

    Raises:
        UnknownTunerError: the installed PEFT has no such tuner, or it places nothing by module.
    """
    configs, _ = _tables()
    if places_by_module(tuner):
        return configs[tuner]
    if tuner in configs:
        raise UnknownTunerError(f"{tuner} places no adapters by module")
    raise UnknownTunerError(f"the installed PEFT has no tuner {tuner!r}; it has {', '.join(tuners())}")


def config_of(plan: Plan) -> PeftConfig:
    """The config of ``plan`` as it is used to train.

    Raises:
        UnknownTunerError: the plan's tuner places nothing by module.
        Exception: whatever PEFT raises at the arguments.
    """
    cls = config_class(plan.tuner)
    arguments = {key: value for key, value in plan.lora.items() if key != "inference_mode"}
    try:
        return _made(cls, arguments)
    except ImportError:  # the package with which an initialisation computes says nothing of where adapters go
        if "init_lora_weights" not in arguments:
            raise
        initialisation = arguments.pop("init_lora_weights")
        config = _made(cls, arguments)
        vars(config).update(init_lora_weights=initialisation)
        return config


def _made(cls: type[PeftConfig], arguments: Mapping[str, Any]) -> PeftConfig:
    own = copy.deepcopy(dict(arguments))  # PEFT adds to lists that it is given
    return cls(**{key: _as_declared(cls, key, value) for key, value in own.items()})


def own_inputs(tuner: BaseTuner) -> tuple[str, ...]:
    """Names of inputs that the tuner itself takes in a forward pass, besides those of the model."""
    parameters = inspect.signature(tuner.forward).parameters.values()
    return tuple(
        parameter.name
        for parameter in parameters
        if parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    )


def _tables() -> tuple[dict[str, type[Any]], dict[str, type[Any]]]:
    """PEFT's config class and its model class, by ``peft_type``."""
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING

    return (
        {kind.value: config for kind, config in PEFT_TYPE_TO_CONFIG_MAPPING.items()},
        {kind.value: model for kind, model in PEFT_TYPE_TO_TUNER_MAPPING.items()},
    )


def _as_declared(cls: type[Any], name: str, value: Any) -> Any:
    """``value``, made into the dataclass that the field of that name holds: JSON has a mapping in its place.

    PEFT does that itself for the fields that may be ``None``.
    """
    declared = typing.get_type_hints(cls).get(name) if isinstance(value, Mapping) else None
    if isinstance(declared, type) and dataclasses.is_dataclass(declared):
        return declared(**value)
    return value
