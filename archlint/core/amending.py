"""A tried plan with a change: what a remedy proposes."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from archlint.core.blueprint import Blueprint, Site
from archlint.core.finding import Remedy
from archlint.core.suffixes import suffixes
from archlint.core.trial import Trial

_FOR_PARAMETERS = {"lora_dropout": 0.0, "use_dora": False, "lora_bias": False, "fan_in_fan_out": False}
"""What PEFT's wrapper around a parameter asks of a plan."""
_SHAPING = ("lora_dropout", "use_dora", "lora_bias")
"""Those of them that change what an adapter learns, and not only how it computes."""


def without(trials: Sequence[Trial], paths: Collection[str], text: str) -> list[Remedy]:
    """How to keep plans away from the modules at ``paths``: by a change to the first of ``trials``, or by the recipe.

    Args:
        text: what it comes to, such as ``leave the router out``.
    """
    changed = leaving_out(trials[0], paths)
    if changed is None:
        return [Remedy("target_modules", f"{text}: the recipe below", by_recipe=True)]
    excludes = changed.get("exclude_modules") != trials[0].plan.lora.get("exclude_modules")
    kind = "exclude_modules" if excludes else "target_modules"
    return [
        Remedy(kind, text, value=changed[kind], plan=changed),
        Remedy("target_modules", "or take the recipe below", by_recipe=True),
    ]


def leaving_out(trial: Trial, paths: Collection[str]) -> dict[str, Any] | None:
    """The plan of ``trial``, kept away from the modules at ``paths`` and otherwise unchanged.

    Names of a list that reach nothing else are dropped; what is left is excluded. ``None`` where no short
    change does it, or where nothing would be left to adapt.
    """
    lora = dict(trial.plan.lora)
    unwanted = [path for path in trial.reached if path in paths]
    targets = lora.get("target_modules")
    if isinstance(targets, (list, tuple)):
        reaches = {value: set(trial.reached_by("target_modules", value)) for value in targets}
        kept = [value for value in targets if not reaches[value] or not reaches[value].issubset(paths)]
        if not any(reaches[value].difference(paths) for value in kept) and not lora.get("target_parameters"):
            return None
        lora["target_modules"] = kept
        unwanted = [path for path in unwanted if any(path in reaches[value] for value in kept)]
    if not unwanted:
        return lora
    names = suffixes(unwanted, [path for path in trial.reached if path not in paths])
    if names is None:
        return None
    lora["exclude_modules"] = _joined(lora.get("exclude_modules"), names)
    return lora


def unsaved(trial: Trial, paths: Collection[str], text: str) -> list[Remedy]:
    """How to keep a plan from training the modules at ``paths`` in full; none where ``modules_to_save`` says more."""
    lora = trial.plan.lora
    saved = lora.get("modules_to_save")
    names = [saved] if isinstance(saved, str) else list(saved or ())
    reaches = {name: trial.reached_by("modules_to_save", str(name)) for name in names}
    kept = [name for name in names if not reaches[name] or not set(reaches[name]).issubset(paths)]
    if kept == names or any(path in paths for name in kept for path in reaches[name]):
        return []
    return [Remedy("modules_to_save", text, value=kept, plan={**lora, "modules_to_save": kept or None})]


def _joined(excluded: Any, names: list[str]) -> Any:
    """An ``exclude_modules`` that takes out ``names`` as well: a regular expression stays one."""
    if isinstance(excluded, str):
        return rf"{excluded}|(.*\.)?({'|'.join(map(re.escape, names))})"
    return [*(excluded or ()), *names]


def as_parameters(
    blueprint: Blueprint, trial: Trial, modules: Collection[Site], parameters: Collection[Site]
) -> tuple[list[str], dict[str, Any] | None]:
    """Names for ``parameters``, and the plan of ``trial`` that targets them instead of ``modules``.

    What ``target_parameters`` does not go with is turned off. The plan is ``None`` where no short names do it.
    """
    wanted = [site.path for site in parameters]
    others = [name for site in blueprint.sites for name in site.parameters if name not in set(wanted)]
    names = suffixes(wanted, [*others, *(site.leaf for site in parameters)])  # told with the module's name
    lora = leaving_out(trial, [site.path for site in modules])
    if not names:
        return [], None
    if lora is None:  # nothing else was targeted
        lora = {**trial.plan.lora, "target_modules": []}
    given = lora.get("target_parameters")
    kept = given if isinstance(given, (list, tuple)) else ()
    lora["target_parameters"] = list(dict.fromkeys([*map(str, kept), *names]))
    return names, {**lora, **unwrappable(lora)}


def unwrappable(lora: Mapping[str, Any]) -> dict[str, Any]:
    """Those settings of a plan with which PEFT wraps no parameter, each at the value with which it does."""
    return {key: value for key, value in _FOR_PARAMETERS.items() if lora.get(key, value) != value}


def gives_up(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether ``after`` turns something off that ``before`` asks for, and that shapes what is learned."""
    return any(before.get(key) and not after.get(key) for key in _SHAPING)
