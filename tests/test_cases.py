"""Reported and measured plans on published configs, kept beside a developer's checkout but not in it."""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

import pytest

from archlint.core.blueprint import Blueprint, ModelInfo
from archlint.core.catalog import Catalog
from archlint.core.finding import Finding, Severity
from archlint.core.stock import STOCK_PLANS
from archlint.core.trainers import usual_trainers
from archlint.core.training import Training
from archlint.core.trial import Plan
from archlint.judging import run_rules
from archlint.proving import Prover
from archlint.quiet import quiet
from archlint.skeleton import build
from archlint.survey import survey
from archlint.training import ask

SHARED = Path(__file__).parents[2] / "shared"
CASES = SHARED / "cases.jsonl"


def cases() -> list[dict[str, Any]]:
    if not CASES.is_file():
        return []
    found = map(json.loads, CASES.read_text(encoding="utf-8").splitlines())
    return sorted(found, key=lambda case: str(case["source"]))  # one skeleton serves its neighbours


@functools.lru_cache(maxsize=2)
def prepared(source: str) -> tuple[Blueprint, Prover]:
    path = SHARED / "configs" / source
    config = {"model_type": source[5:]} if source.startswith("type:") else json.loads(path.read_text("utf-8"))
    with quiet():
        skeleton = build(config)
        blueprint = survey(skeleton, ModelInfo(source, "local", "", "", 0, 0))
    return blueprint, Prover(skeleton.model, blueprint)


def found(case: dict[str, Any]) -> list[Finding]:
    blueprint, prover = prepared(case["source"])
    with quiet():
        blueprint = dataclasses.replace(blueprint, baseline=prover.baseline)
        if case["adapter"] is None:
            blueprint = dataclasses.replace(blueprint, stock=prover.try_plans(STOCK_PLANS))
        else:
            blueprint = dataclasses.replace(blueprint, plan=prover.try_plan(Plan("user", case["adapter"])))
        if is_about_a_trainer(case):
            blueprint = dataclasses.replace(blueprint, training=asked(case["source"]).by(usual_trainers(blueprint)))
    findings, unchecked = run_rules(blueprint, list(Catalog.load().rules.values()))
    assert not unchecked
    return findings


@functools.lru_cache(maxsize=2)
def asked(source: str) -> Training:
    with quiet():
        return ask(prepared(source)[1])


def is_about_a_trainer(case: dict[str, Any]) -> bool:
    return any(code.startswith("ARC7") for code in (*case["expect"], *case["forbid_codes"]))


@pytest.mark.skipif(not CASES.is_file(), reason="the published configs and cases are not part of the repository")
@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case['id']}-{case['source']}")
def test_the_plan_is_judged_as_measured(case: dict[str, Any]) -> None:
    findings = found(case)
    told = [(finding.code, finding.severity.value, finding.message) for finding in findings]
    assert not [finding for finding in findings if finding.severity.value in case["forbid"]], told
    assert not [finding for finding in findings if finding.code in case["forbid_codes"]], told
    if case["expect"]:
        least = Severity(case["min_severity"]).rank
        named = [finding for finding in findings if finding.code in case["expect"]]
        assert any(finding.severity.rank <= least for finding in named), told
