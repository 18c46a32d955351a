"""Why PEFT refused a plan: one cause for each refusal, so that exactly one rule speaks of it.

The kind of the site at which PEFT raised decides; where it raised before it came to any site, the exception
and the plan do.
"""

from __future__ import annotations

import enum

from archlint.core.blueprint import Blueprint, Kind, Site, Trait
from archlint.core.trial import LORA, Entry, Refusal, Trial


class Cause(str, enum.Enum):
    """What a refusal is about."""

    NO_DEFAULT = "no-default"
    """No targets were given, and PEFT has none for this model type."""
    DEFAULT_BROKEN = "default-broken"
    """No targets were given, and PEFT's own for this model type reach nothing."""
    NOTHING_REACHED = "nothing-reached"
    """No target of the plan names a module or a parameter of the model."""
    EMBEDDINGS = "embeddings"
    """The model does not say what its input embeddings are."""
    TASK_TYPE = "task-type"
    """The task type needs something that the class does not have, or PEFT does not know it."""
    SAVED_TWICE = "saved-twice"
    """A head is adapted and is to be saved in full as well, by the task type."""
    HELD_AND_SAVED = "held-and-saved"
    """A module of ``modules_to_save`` holds adapters: on a parameter of it, or reached by another name."""
    SETTINGS = "settings"
    """``layers_to_transform``, ``layers_pattern`` or ``feedforward_modules`` contradicts another setting."""
    HALF_FUSED = "half-fused"
    """A name stands for a part of a fused parameter, whose other part the plan does not name."""
    PARAMETER = "parameter"
    """A parameter cannot be wrapped with these settings, or has a shape that PEFT does not take."""
    BLOCKED = "blocked"
    """PEFT could adapt the module by its class, but refuses its name for this model type."""
    WRAPPER = "wrapper"
    """A module around a linear layer."""
    NORM = "norm"
    """A norm."""
    ROUTER = "router"
    """A router of experts that is no linear layer."""
    EXPERTS = "experts"
    """A module that holds fused experts."""
    MIXED_NAME = "mixed-name"
    """A module of another sort, reached by a name that linear layers of the model have as well."""
    CONTAINER = "container"
    """A module without weights of its own: a layer, a block, an activation."""
    UNSUPPORTED = "unsupported"
    """A module with weights of its own, of a class that PEFT does not know."""
    OTHER = "other"
    """None of these."""


_CONTRADICTED = ("layers_to_transform", "layers_pattern", "feedforward_modules")
_BY_KIND = {
    Kind.WRAPPER: Cause.WRAPPER,
    Kind.NORM: Cause.NORM,
    Kind.ROUTER: Cause.ROUTER,
    Kind.FUSED_EXPERTS: Cause.EXPERTS,
}


def cause(blueprint: Blueprint, trial: Trial) -> Cause | None:
    """Why ``trial`` was refused; ``None`` where it was not."""
    refusal = trial.raised
    if refusal is None:
        return None
    site = blueprint.by_path.get(refusal.at) if refusal.at is not None else None
    return _of_plan(blueprint, trial, refusal) if site is None else _at_site(blueprint, trial, refusal, site)


def culprit(blueprint: Blueprint, trial: Trial) -> Site | None:
    """The site at which PEFT raised, where there was one."""
    return blueprint.by_path.get(trial.raised.at) if trial.raised is not None and trial.raised.at else None


def _of_plan(blueprint: Blueprint, trial: Trial, refusal: Refusal) -> Cause:
    lora = trial.plan.lora
    error = blueprint.facts.embeddings_error
    if error is not None and error.startswith(f"{refusal.type}:"):
        return Cause.EMBEDDINGS
    if refusal.type == "NoMatchingPeftModuleError" or "Please specify `target_modules`" in refusal.message:
        if not trial.plan.is_default or lora.get("target_modules") is not None:
            return Cause.NOTHING_REACHED
        known = blueprint.facts.peft_default is not None  # LoRA's; another tuner has defaults of its own
        if trial.plan.tuner != LORA:
            known = "Please specify `target_modules`" not in refusal.message
        return Cause.DEFAULT_BROKEN if known else Cause.NO_DEFAULT
    if "Cannot convert PEFT target" in refusal.message:
        return Cause.HALF_FUSED
    if "prepare_inputs_for_generation" in refusal.message or "task type" in refusal.message:
        return Cause.TASK_TYPE
    if "modules_to_save cannot be applied" in refusal.message:
        return Cause.HELD_AND_SAVED if held_and_saved(trial) else Cause.SAVED_TWICE
    if any(setting in refusal.message for setting in _CONTRADICTED):
        return Cause.SETTINGS
    return Cause.OTHER


def held_and_saved(trial: Trial) -> list[Entry]:
    """The values of ``modules_to_save`` that reach what the plan's targets reach, or what holds such a parameter.

    PEFT keeps its adapters out of the modules of that list by a full part of their name, and takes any end of a
    name for it when it saves; and it does not keep them off parameters (``tuners_utils.py``, ``other.py``, 0.21).
    """
    named = trial.reached_through("target_parameters")
    held = {*trial.reached, *(name.rpartition(".")[0] for name in named)}
    return [entry for entry in trial.entries if entry.setting == "modules_to_save" and held.intersection(entry.reaches)]


def _at_site(blueprint: Blueprint, trial: Trial, refusal: Refusal, site: Site) -> Cause:
    if site.is_parameter or site.path not in trial.reached or "nn.Parameter" in refusal.message:
        return Cause.PARAMETER
    if "is incompatible with" in refusal.message:
        return Cause.BLOCKED
    if site.kind in _BY_KIND:
        return _BY_KIND[site.kind]
    if Trait.SUPPORTED in site.traits:
        return Cause.OTHER
    if _shares_name(blueprint, trial, site):
        return Cause.MIXED_NAME
    return Cause.UNSUPPORTED if _has_weights(blueprint, site) else Cause.CONTAINER


def _has_weights(blueprint: Blueprint, site: Site) -> bool:
    """Whether a module holds parameters itself: a bare matrix is a site of its own."""
    return bool(site.weights) or any(other.is_parameter and other.parent == site.path for other in blueprint.sites)


def _shares_name(blueprint: Blueprint, trial: Trial, site: Site) -> bool:
    """Whether a name of the plan's list reaches ``site`` and layers that PEFT adapts; an index is no name."""
    if isinstance(trial.plan.lora.get("target_modules"), str):
        return False
    return any(
        site.path in entry.reaches and any(is_adaptable(blueprint, path) for path in entry.reaches)
        for entry in trial.entries
        if entry.setting == "target_modules" and not entry.value.isdigit()
    )


def is_adaptable(blueprint: Blueprint, path: str) -> bool:
    """Whether the installed PEFT can put a LoRA layer in the place of the module at ``path``; the top one has none."""
    site = blueprint.by_path.get(path)
    return site is not None and bool(path) and Trait.SUPPORTED in site.traits
