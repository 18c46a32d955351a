"""Each built-in rule does what its examples show, and each fix that it proposes works on them."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from archlint import Example, Rule
from archlint.core.catalog import Catalog
from archlint.core.finding import Finding, Severity
from archlint.testing import examine, findings, problems

RULES = [rule for rule in Catalog.load().rules.values() if rule.__module__.startswith("archlint.rules.")]
FIRING = [(rule, example) for rule in RULES for example in rule.fires]
named = {"ids": lambda value: getattr(value, "code", None)}


@pytest.mark.parametrize("rule", RULES, **named)
def test_the_examples_show_the_rule(rule: type[Rule]) -> None:
    assert list(problems(rule)) == []


@pytest.mark.parametrize(("rule", "example"), FIRING, **named)
def test_whatever_is_worse_than_an_info_ends_in_a_fix_that_mends_it(rule: type[Rule], example: Example) -> None:
    for finding in serious(rule, example):
        assert finding.remedies, finding.message
        assert finding.proof or finding.unchecked, finding.message
        for remedy in finding.remedies:
            if remedy.plan is not None:
                mended = dataclasses.replace(example, plan=remedy.plan)
                trial = examine(mended).plan
                assert trial is not None
                assert trial.raised is None, (remedy, str(trial.raised))
                left = [place for other in serious(rule, mended) for place in places(other)]
                assert places(finding).isdisjoint(left), remedy


def serious(rule: type[Rule], example: Example) -> list[Finding]:
    return [finding for finding in findings(rule, example) if finding.severity is not Severity.INFO]


def places(finding: Finding) -> set[Any]:
    """Where a finding applies; one about the whole plan is about itself."""
    return {fold.pattern for fold in finding.sites} or {finding.code}
