"""A remedy is called proven only where PEFT takes it and the rule is satisfied."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import pytest

from archlint.core.blueprint import Blueprint, ModelInfo
from archlint.core.finding import Finding, Remedy, Severity
from archlint.core.rule import Rule
from archlint.core.trial import Plan, Refusal, Trial
from archlint.remedies import prove_remedies


class NeedsO(Rule):
    """A rule that wants o_proj adapted."""

    code, name, severity, why = "OWN001", "needs-o", Severity.WARNING, "It does."

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        if blueprint.plan is None or "o_proj" not in blueprint.plan.adapted:
            yield self.finding("o_proj is not adapted")


class Judge:
    """Adapts what is named, and refuses the name ``bad``."""

    def try_plan(self, plan: Plan) -> Trial:
        names = tuple(plan.lora["target_modules"])
        return Trial(plan, raised=Refusal("ValueError", "bad")) if "bad" in names else Trial(plan, adapted=names)


BLUEPRINT = Blueprint(ModelInfo("m", "type", "M", "m", 0, 0), ())


def proven(*remedies: Remedy, recipe: Trial | None = None) -> list[Remedy]:
    finding = dataclasses.replace(next(iter(NeedsO().check(BLUEPRINT))), remedies=remedies)
    (judged,) = prove_remedies([finding], BLUEPRINT, [NeedsO], recipe, Judge())
    return list(judged.remedies)


@pytest.mark.parametrize(("names", "expected"), [(["o_proj"], True), (["q_proj"], False), (["o_proj", "bad"], False)])
def test_a_plan_is_tried_and_the_rule_asked_again(names: list[str], expected: bool) -> None:
    (remedy,) = proven(Remedy("target_modules", "name it", plan={"target_modules": names}))
    assert remedy.proven is expected


def test_words_alone_are_never_proven() -> None:
    assert proven(Remedy("other", "think again")) == [Remedy("other", "think again")]


def test_the_recipe_gives_its_plan_or_nothing() -> None:
    remedy = Remedy("target_modules", "the recipe below", by_recipe=True)
    assert proven(remedy) == []
    good = Trial(Plan("recipe", {"target_modules": ["o_proj"]}), adapted=("o_proj",))
    assert proven(remedy, recipe=good)[0].value == {"target_modules": ["o_proj"]}
    assert proven(remedy, recipe=good)[0].proven
    assert not proven(remedy, recipe=dataclasses.replace(good, adapted=("q_proj",)))[0].proven
