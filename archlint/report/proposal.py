"""What the report proposes: whether there is anything to propose, what it may be called, and the source to paste."""

from __future__ import annotations

from archlint.core.report import Report
from archlint.core.trial import Trial
from archlint.report.snippet import call, lora_config


def is_due(report: Report) -> bool:
    """Whether a recipe is to be shown, or told that there is none.

    It is not where the user has a plan of their own that adapts as much, and nothing is known against that.
    """
    plan, recipe = report.plan, report.recipe
    if report.model is None:
        return False
    if plan is None or recipe is None or not report.ok:
        return True
    return not plan.is_sound or plan.coverage < recipe.coverage


def standing(recipe: Trial) -> str:
    """``recipe`` where it is proven; else ``untried``, or the ``nearest`` to one."""
    if recipe.is_sound:
        return "recipe"
    return "untried" if recipe.raised is None and recipe.forward == "unavailable" else "nearest"


def source(report: Report) -> str:
    """The recipe in Python, with what the trainers need beside it; nothing where there is no recipe."""
    if report.recipe is None:
        return ""
    needs = ((verdict.trainer.config, verdict.needs) for verdict in report.verdicts)
    return "\n".join([lora_config(report.recipe.plan.lora), *(call(name, needed) for name, needed in needs if needed)])
