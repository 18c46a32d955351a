"""A tried plan with a change: what a remedy proposes."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from archlint.core.suffixes import suffixes
from archlint.core.trial import Trial


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
        kept = [value for value in targets if not reaches[value] or not reaches[value] <= set(paths)]
        if not any(reaches[value] - set(paths) for value in kept) and not lora.get("target_parameters"):
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


def _joined(excluded: Any, names: list[str]) -> Any:
    """An ``exclude_modules`` that takes out ``names`` as well: a regular expression stays one."""
    if isinstance(excluded, str):
        return rf"{excluded}|(.*\.)?({'|'.join(map(re.escape, names))})"
    return [*(excluded or ()), *names]
