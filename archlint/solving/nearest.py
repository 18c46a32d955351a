"""A user's plan said anew: what it reaches and what trains of it, or the same in the words of another tool."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from archlint.core.blueprint import Blueprint
from archlint.core.means import ALL, Means
from archlint.core.trial import Trial
from archlint.solving.solve import Aim, arguments

PLACING = ("target_modules", "target_parameters", "exclude_modules", "layers_to_transform", "layers_pattern")
"""Arguments that say where adapters go."""


def nearest(blueprint: Blueprint, trial: Trial, sound: Trial, means: Means = ALL) -> dict[str, Any] | None:
    """The arguments of ``trial``, with targets for just those of the sites it reaches that ``sound`` adapts too.

    ``None`` where there are none of these, or where nothing would change.
    """
    shared = set(trial.reached) & set(sound.adapted)
    return None if not shared or shared == set(trial.adapted) else _placed(blueprint, trial, shared, means)


def respelled(blueprint: Blueprint, trial: Trial, means: Means) -> dict[str, Any] | None:
    """Arguments that ``means`` have, and that adapt what ``trial`` adapts; ``None`` where they have none."""
    if means.allow(trial.plan.lora):
        return dict(trial.plan.lora)
    return _placed(blueprint, trial, set(trial.adapted), means)


def _placed(blueprint: Blueprint, trial: Trial, paths: Collection[str], means: Means) -> dict[str, Any] | None:
    sites = [site for site in blueprint.sites if site.path in paths]
    aim = Aim(
        tuple(site for site in sites if not site.is_parameter), tuple(site for site in sites if site.is_parameter)
    )
    if not sites or (aim.parameters and not means.parameters):
        return None
    kept = {key: value for key, value in trial.plan.lora.items() if key not in PLACING}
    placed = arguments(blueprint, aim, means)
    if "modules_to_save" in trial.plan.lora:
        placed.pop("modules_to_save", None)  # the user has said what is to be saved
    return {**kept, **placed}
