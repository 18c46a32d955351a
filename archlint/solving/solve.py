"""Solve for the plan that covers a scope and touches nothing else, with PEFT as the judge of each attempt."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from archlint.core.blueprint import Blueprint, Kind, Role, Site, TypeInfo, fold_sites
from archlint.core.finding import FoldedSites, LeftOut
from archlint.core.means import ALL, Means
from archlint.core.pattern import pattern
from archlint.core.presets import Preset
from archlint.core.regions import excluding, roots
from archlint.core.runs import cause_of_death, crashed_sites
from archlint.core.suffixes import reached_by, suffixes
from archlint.core.trial import Judge, Plan, Trial
from archlint.solving.wanted import candidates, reason_against, wanted_modules, wanted_parameters

_ATTEMPTS = 8


@dataclass(frozen=True)
class Aim:
    """What an attempt sets out to adapt: modules, and parameters (bare, or the weights of modules)."""

    modules: tuple[Site, ...]
    parameters: tuple[Site, ...]

    @property
    def sites(self) -> tuple[Site, ...]:
        return self.modules + self.parameters

    @property
    def paths(self) -> frozenset[str]:
        return frozenset(site.path for site in self.sites)

    def without(self, unwelcome: Callable[[Site], bool]) -> Aim:
        return Aim(
            tuple(site for site in self.modules if not unwelcome(site)),
            tuple(site for site in self.parameters if not unwelcome(site)),
        )

    def as_parameters(self, sites: Iterable[Site]) -> Aim:
        """The same aim, with ``sites`` reached through their weights."""
        moved = dict.fromkeys(sites)
        return Aim(tuple(site for site in self.modules if site not in moved), self.parameters + tuple(moved))


@dataclass(frozen=True)
class Solution:
    """The best plan with its trial, ``None`` where PEFT takes none, and what it leaves out."""

    trial: Trial | None
    left_out: tuple[LeftOut, ...]


def solve(blueprint: Blueprint, judge: Judge, means: Means = ALL, preset: Preset = Preset.ALL) -> Solution:
    """The best plan for the ``preset`` part of the blueprint's scope, said with ``means``.

    What PEFT refuses is left out, and a module whose name PEFT turns into something else is reached through
    its weight instead. What crashes the adapted model, or gets no gradient in it, is left out as well, until a
    trial adapts just what was wanted and trains all of it.
    """
    parameters = wanted_parameters(blueprint) if means.parameters else []
    everything = Aim(tuple(wanted_modules(blueprint)), tuple(parameters))
    chosen = preset.chooser(blueprint)
    aim = everything.without(lambda site: not chosen(site))
    best: Trial | None = None
    reasons = dict.fromkeys(everything.paths - aim.paths, f"it is no part of the preset {preset.value}")
    if not means.parameters:
        reasons.update((site.path, "the tool has no target_parameters") for site in wanted_parameters(blueprint))
    for _ in range(_ATTEMPTS):
        if not aim.paths:
            break
        trial = judge.try_plan(Plan("recipe", arguments(blueprint, aim, means)))
        if trial.raised is None and (best is None or _merit(trial, aim) > _merit(best, aim)):
            best = trial
        if trial.crash is not None:
            following: Aim | None = _without_culprits(aim, trial, blueprint, judge)
        else:
            following = _next_aim(aim, trial, blueprint, means)
        if following is None or following == aim:
            break
        for path in aim.paths - following.paths:
            reasons.setdefault(path, _reason(blueprint, trial, path))
        aim = following
    if preset is Preset.ALL and (best is None or best.crash is not None or best.dead):
        stock = (t for t in blueprint.stock if _serves(blueprint, t) and means.allow(t.plan.lora))
        best = max(stock, key=lambda trial: trial.coverage, default=best)
    best = None if best is None else replace(best, plan=Plan("recipe", best.plan.lora))
    return Solution(best, tuple(_left_out(blueprint, best, reasons)))


def with_rank(rank: int | None, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """``arguments`` with ``r``, and ``lora_alpha`` alike so that the scale stays 1; as they are, without a rank."""
    return {**({} if rank is None else {"r": rank, "lora_alpha": rank}), **arguments}


def _serves(blueprint: Blueprint, trial: Trial) -> bool:
    """Whether a stock plan would do: it trains all that it adapts, and that is of the scope and no router or head."""
    kinds = {blueprint.by_path[path].kind for path in trial.adapted}
    welcome = not kinds & {Kind.ROUTER, Kind.GATE, Kind.HEAD} and not trial.outside
    return trial.is_sound and welcome and bool(trial.coverage)


def _reason(blueprint: Blueprint, trial: Trial, path: str) -> str:
    """Why ``path`` is no longer wanted after ``trial``."""
    if trial.raised is not None:
        return f"PEFT refuses it: {trial.raised}"
    if trial.crash is not None:
        return f"adapted, it crashes the training step: {trial.crash}"
    if path in trial.dead:
        return f"an adapter gets no gradient: {cause_of_death(blueprint, blueprint.by_path[path])}"
    return "PEFT reaches it by no name"


def _left_out(blueprint: Blueprint, best: Trial | None, reasons: Mapping[str, str]) -> Iterator[LeftOut]:
    adapted = frozenset(best.adapted if best is not None else ())
    groups: dict[str, list[Site]] = {}
    for site in candidates(blueprint):
        if site.path not in adapted:
            why = reasons.get(site.path) or reason_against(blueprint, site) or "no plan was found that reaches it"
            groups.setdefault(why, []).append(site)
        elif best is not None and site.path in best.dead:
            groups.setdefault(reasons.get(site.path, _reason(blueprint, best, site.path)), []).append(site)
    for why, sites in groups.items():
        yield LeftOut(why, tuple(map(FoldedSites.of, fold_sites(sites))))


def _merit(trial: Trial, aim: Aim) -> tuple[int, int, float]:
    """How good a trial is: it runs; nothing is dead or adapted beyond the aim; then what it covers."""
    needless = set(trial.dead) | set(trial.adapted) - aim.paths
    return ("crashed", "unavailable", "ok").index(trial.forward), -len(needless), trial.coverage


def _next_aim(aim: Aim, trial: Trial, blueprint: Blueprint, means: Means) -> Aim | None:
    """What to attempt after ``trial``; ``None`` when there is nothing to better."""
    if trial.raised is None:
        if dead := set(trial.dead):
            return aim.without(lambda site: site.path in dead)
        missed = aim.paths - set(trial.adapted)
        by_name = [site for site in aim.modules if site.path in missed]
        if by_name and means.parameters:
            return aim.as_parameters(by_name)
        return aim.without(lambda site: site.path in missed) if missed else None
    culprit = blueprint.by_path.get(trial.raised.at or "")
    if culprit is not None and culprit.path in aim.paths:
        return aim.without(lambda site: _sort(site) == _sort(culprit))
    if aim.modules and aim.parameters and means.parameters:
        # PEFT may refuse the names of some modules for what it turns them into: reach those by their weights
        rewritable = {leaf for leaf in _leaves(aim.modules) if leaf in trial.raised.message}
        if rewritable:
            return aim.as_parameters(site for site in aim.modules if site.leaf in rewritable)
    return None


def _without_culprits(aim: Aim, trial: Trial, blueprint: Blueprint, judge: Judge) -> Aim:
    """The aim without the layers at which the adapted model crashed.

    Where the crash does not tell which they are, each sort of layer is tried by itself.
    """
    culprits = frozenset(map(_sort, crashed_sites(blueprint, trial))) & frozenset(map(_sort, aim.sites))
    if len(culprits) != 1:
        sorts = dict.fromkeys(map(_sort, aim.sites))
        culprits = frozenset(sort for sort in sorts if _crashes_alone(aim, sort, blueprint, judge))
    return aim.without(lambda site: _sort(site) in culprits)


def _crashes_alone(aim: Aim, sort: tuple[str, TypeInfo], blueprint: Blueprint, judge: Judge) -> bool:
    alone = aim.without(lambda site: _sort(site) != sort)
    return judge.try_plan(Plan("recipe", arguments(blueprint, alone))).crash is not None


def _sort(site: Site) -> tuple[str, TypeInfo]:
    """What a layer is in its block: its name there, and its class."""
    return site.leaf, site.type


def _leaves(sites: Iterable[Site]) -> frozenset[str]:
    return frozenset(site.leaf for site in sites)


def arguments(blueprint: Blueprint, aim: Aim, means: Means = ALL) -> dict[str, Any]:
    """LoraConfig arguments that mean ``aim`` and nothing else, in the shortest way that ``means`` have for it."""
    lora: dict[str, Any] = {}
    if aim.modules:
        lora.update(_module_targets(blueprint, [site.path for site in aim.modules], means))
    if aim.parameters:
        lora.setdefault("target_modules", [])
        lora["target_parameters"] = _parameter_targets(blueprint, aim.parameters)
    if blueprint.facts.new_heads:
        lora["modules_to_save"] = sorted({path.partition(".")[0] for path in blueprint.facts.new_heads})
    return lora


def _module_targets(blueprint: Blueprint, wanted: list[str], means: Means) -> Mapping[str, Any]:
    chosen = set(wanted)
    others = [site for site in blueprint.sites if site.path and not site.is_parameter and site.path not in chosen]
    beside = (Role.VISION, Role.AUDIO, Role.PROJECTOR, Role.TEXT)
    # exclude nothing, or towers, or heads as well
    for excludable in ((), beside, tuple(Role)) if means.exclusion else ((),):
        kept_out = [site for site in others if site.role in excludable and not blueprint.scope.covers(site.role)]
        excused = set(kept_out)
        names = suffixes(wanted, (site.path for site in others if site not in excused), numbered=True)
        if names is not None:
            return {"target_modules": names, **_exclusion(blueprint, names, kept_out, chosen)}
    if (whole := _all_linear(blueprint, chosen)) is not None and means.allow(whole):
        return whole
    expression = pattern(wanted, [site.path for site in others]) if means.expression else None
    return {"target_modules": wanted if expression is None else expression}


def _all_linear(blueprint: Blueprint, wanted: set[str]) -> Mapping[str, Any] | None:
    """``all-linear``, where a trial showed that it adapts what is wanted and beside it only what can be excluded."""
    for trial in blueprint.stock:
        if trial.plan.says_all and not trial.rewritten and wanted <= set(trial.adapted):
            beside = [blueprint.by_path[path] for path in trial.adapted if path not in wanted]
            if not any(blueprint.scope.covers(site.role) for site in beside):
                excluded = {"exclude_modules": excluding(blueprint, roots(blueprint, beside))} if beside else {}
                return {"target_modules": trial.plan.lora["target_modules"], **excluded}
    return None


def _exclusion(
    blueprint: Blueprint, names: Iterable[str], kept_out: Iterable[Site], wanted: Collection[str]
) -> Mapping[str, Any]:
    """The ``exclude_modules`` that takes out those of ``kept_out`` which ``names`` would reach."""
    by_path = {site.path: site for site in kept_out}
    spilled = [by_path[path] for name in names for path in reached_by(name, by_path)]
    if not spilled:
        return {}
    expression = excluding(blueprint, roots(blueprint, spilled))
    assert not any(re.fullmatch(expression, path) for path in wanted)
    return {"exclude_modules": expression}


def _parameter_targets(blueprint: Blueprint, sites: Iterable[Site]) -> list[str]:
    wanted = [site.path if site.is_parameter else f"{site.path}.weight" for site in sites]
    chosen = set(wanted)
    leaves = [path.rpartition(".")[2] for path in wanted]  # a parameter is told with its module's name
    others = [name for site in blueprint.sites for name in site.parameters if name not in chosen]
    return suffixes(wanted, [*others, *leaves]) or wanted
