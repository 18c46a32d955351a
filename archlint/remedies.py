"""Prove remedies: a fix is tried as a plan, and the rule that proposed it is asked again."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence

from archlint.core.blueprint import Blueprint
from archlint.core.finding import Finding, Remedy, Severity
from archlint.core.rule import Rule
from archlint.core.trial import Judge, Plan, Trial


def prove_remedies(
    findings: Iterable[Finding],
    blueprint: Blueprint,
    rules: Sequence[type[Rule]],
    recipe: Trial | None,
    judge: Judge,
) -> list[Finding]:
    """``findings`` with remedies that say whether they are proven; those that the recipe stands for get its plan.

    A remedy is proven where PEFT takes its plan, and the rule has nothing worse than an info to say of that.
    Where there is no recipe, remedies that point to it are dropped.
    """
    by_code = {rule.code: rule for rule in rules}
    return [
        dataclasses.replace(finding, remedies=tuple(_proven(finding, blueprint, by_code, recipe, judge)))
        for finding in findings
    ]


def _proven(
    finding: Finding,
    blueprint: Blueprint,
    rules: Mapping[str, type[Rule]],
    recipe: Trial | None,
    judge: Judge,
) -> Iterator[Remedy]:
    for remedy in finding.remedies:
        if remedy.by_recipe:
            if recipe is not None:
                proven = _mends(recipe, finding, blueprint, rules)
                yield dataclasses.replace(remedy, value=dict(recipe.plan.lora), proven=proven)
        elif remedy.plan is not None:
            trial = judge.try_plan(Plan("remedy", remedy.plan))
            yield dataclasses.replace(remedy, proven=_mends(trial, finding, blueprint, rules))
        else:
            yield remedy


def _mends(trial: Trial, finding: Finding, blueprint: Blueprint, rules: Mapping[str, type[Rule]]) -> bool:
    if trial.raised is not None:
        return False
    again = rules[finding.code]().check(dataclasses.replace(blueprint, plan=trial))
    return not any(other.code == finding.code and other.severity is not Severity.INFO for other in again)
