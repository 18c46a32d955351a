"""What of a model plans reach: the census with what is adapted of it, where adapters are, and which of them die."""

from __future__ import annotations

import operator
from collections.abc import Collection, Iterator

from archlint.core.blueprint import Blueprint, Site, fold_sites, matrix_size
from archlint.core.finding import FoldedSites
from archlint.core.report import Adapted, Dying, Part
from archlint.core.trial import Trial


def modules(blueprint: Blueprint, recipe: Trial | None) -> tuple[Part, ...]:
    """The census, and what the recipe and the user's plan adapt of it."""
    user = blueprint.plan
    proposed = frozenset(() if recipe is None else recipe.adapted)
    planned = None if user is None else frozenset(user.adapted)
    saved, saved_by_plan = (frozenset(() if trial is None else trial.saved) for trial in (recipe, user))
    groups: dict[tuple[int, bool, bool | None, bool, bool], list[Site]] = {}
    for site in blueprint.sites:
        path = site.path
        own = None if planned is None else path in planned
        key = (site.size, path in proposed, own, _is_within(path, saved), _is_within(path, saved_by_plan))
        groups.setdefault(key, []).append(site)
    order = {site.path: number for number, site in enumerate(blueprint.sites)}
    parts = [
        (order[fold.sites[0].path], Part(FoldedSites.of(fold), size * fold.count, recipe, plan, whole, whole_by_plan))
        for (size, recipe, plan, whole, whole_by_plan), sites in groups.items()
        for fold in fold_sites(sites)
    ]
    return tuple(part for _, part in sorted(parts, key=operator.itemgetter(0)))


def _is_within(path: str, parents: Collection[str]) -> bool:
    """Whether ``path`` is one of ``parents``, or below one."""
    while parents and path and path not in parents:
        path = path.rpartition(".")[0]
    return path in parents


def adapted(blueprint: Blueprint) -> tuple[Adapted, ...]:
    """Where the user's plan puts adapters."""
    paths = frozenset(() if blueprint.plan is None else blueprint.plan.adapted)
    folds = fold_sites(site for site in blueprint.sites if site.path in paths)
    total = blueprint.model.parameters
    return tuple(Adapted(FoldedSites.of(fold), sum(map(matrix_size, fold.sites)) / total) for fold in folds)


def dying(blueprint: Blueprint) -> Iterator[Dying]:
    """Where the plans that are judged put adapters that get no gradient."""
    for trial in blueprint.trials:
        if trial.dead:
            dead = (blueprint.by_path[path] for path in trial.dead if path in blueprint.by_path)
            yield Dying(trial.plan.name, tuple(map(FoldedSites.of, fold_sites(dead))))
