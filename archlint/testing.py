"""Run a rule's examples: for the tests of archlint's own rules and of other packages'."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from archlint.core.blueprint import Blueprint, ModelInfo, Scope
from archlint.core.finding import Finding, Remedy
from archlint.core.rule import Example, Rule
from archlint.core.trial import Plan
from archlint.quiet import quiet

if TYPE_CHECKING:
    from archlint.proving import Prover
    from archlint.skeleton import Skeleton

_TOYS = "archlint.fixtures.toys"


def examine(example: Example) -> Blueprint:
    """The blueprint of an example's model, with the trials of its plan (or of the stock plans).

    Of the last few models each is built once, and each plan tried once on it, unless its files may have changed.

    Raises:
        AttributeError: ``example.model`` names a toy that is not there.
        SourceError: it names a source that cannot be resolved without a network.
    """
    from archlint.core.stock import STOCK_PLANS
    from archlint.training import ask

    with quiet():
        prepared = _prepared.__wrapped__ if Path(example.model).exists() else _prepared
        blueprint, prover = prepared(example.model, example.scope)
        blueprint = dataclasses.replace(blueprint, weights=example.weights)
        if example.trainers:
            training = ask(prover).by(example.trainers, **example.arguments)
            blueprint = dataclasses.replace(blueprint, training=training)
        if example.plan is not None:
            return dataclasses.replace(blueprint, plan=prover.try_plan(Plan("user", example.plan)))
        return dataclasses.replace(blueprint, stock=prover.try_plans(STOCK_PLANS))


def findings(rule: type[Rule], example: Example) -> list[Finding]:
    """What ``rule`` says of an example."""
    return list(rule().check(examine(example)))


def problems(rule: type[Rule]) -> Iterator[str]:
    """How a rule's examples fail to show it: an empty iterator is a pass."""
    for example in rule.fires:
        found = [finding for finding in findings(rule, example) if finding.code == rule.code]
        if not found:
            yield f"{rule.code} does not fire on {example}"
        elif example.at is not None and not any(fold.pattern == example.at for f in found for fold in f.sites):
            yield f"{rule.code} fires on {[fold.pattern for f in found for fold in f.sites]}, not at {example.at}"
        elif example.severity is not None and not any(finding.severity is example.severity for finding in found):
            yield f"{rule.code} is {[finding.severity.value for finding in found]}, not {example.severity.value}"
        elif example.says and not any(_says(finding, rule, example) for finding in found):
            said = [(finding.severity.value, finding.message) for finding in found]
            yield f"{rule.code} says {said}, not {example.says!r}"
        elif example.fix is not None and not any(_same(example.fix, made) for f in found for made in f.remedies):
            yield f"{rule.code} has the fixes {[made for f in found for made in f.remedies]}, not {example.fix}"
    for example in rule.silent:
        if found := [finding for finding in findings(rule, example) if finding.code == rule.code]:
            yield f"{rule.code} fires on {example}: {found[0].message}"


def _says(finding: Finding, rule: type[Rule], example: Example) -> bool:
    """Whether a finding is what the rule's page shows: that severity, and that message."""
    said = ".*".join(map(re.escape, example.says.split("…")))
    severity = rule.severity if example.severity is None else example.severity
    return finding.severity is severity and re.fullmatch(said, finding.message, re.DOTALL) is not None


def _same(one: Remedy, other: Remedy) -> bool:
    return (one.kind, one.text, one.value) == (other.kind, other.text, other.value)


@functools.lru_cache(maxsize=16)
def _prepared(model: str, scope: Scope | None) -> tuple[Blueprint, Prover]:
    """A model's blueprint with its run without adapters, and what tries plans on the model, which is left as it was."""
    from archlint.proving import Prover
    from archlint.survey import survey

    skeleton = _skeleton(model)
    blueprint = survey(skeleton, ModelInfo(model, "object", "", "", 0, 0), scope)
    prover = Prover(skeleton.model, blueprint)
    return dataclasses.replace(blueprint, baseline=prover.baseline), prover


def _skeleton(model: str) -> Skeleton:
    from accelerate import init_empty_weights

    from archlint.skeleton import Skeleton, build
    from archlint.sources import SourceOptions, resolve

    if model.startswith("toy:"):
        module, _, name = model.removeprefix("toy:").rpartition(".")
        toy = getattr(importlib.import_module(f"{_TOYS}.{module}"), name)
        with init_empty_weights(include_buffers=True):
            return Skeleton(toy())
    config = resolve(model, SourceOptions(offline=True)).config
    assert config is not None
    return build(config)
