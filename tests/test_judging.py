"""Rules are run so that none can spoil the rest, and a remedy is proven only where it mends and does no harm."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable

import pytest

from archlint.core import too_slow
from archlint.core.blueprint import Blueprint, ModelInfo, Scope
from archlint.core.finding import Finding, Remedy, Severity
from archlint.core.rule import Rule
from archlint.core.training import Trainer, Training
from archlint.core.trial import Baseline, Ground, Plan, Refusal, Trial
from archlint.judging import prove_remedies, run_rules


class NeedsO(Rule):
    """A rule that wants o_proj adapted."""

    code, name, severity, why = "OWN001", "needs-o", Severity.WARNING, "It does."

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        if blueprint.plan is None or "o_proj" not in blueprint.plan.adapted:
            yield self.finding("o_proj is not adapted")


class Judge:
    """Adapts what is named, and refuses the name ``bad``."""

    baseline = Baseline()

    def scoped(self, scope: Scope) -> Judge:
        return self

    def try_plan(self, plan: Plan) -> Trial:
        names = tuple(plan.lora["target_modules"])
        if "bad" in names:
            return Trial(plan, raised=Refusal("ValueError", "bad"))
        return Trial(plan, adapted=names, forward="unavailable" if "unrun" in names else "ok")


BLUEPRINT = Blueprint(ModelInfo("m", "type", "M", "m", 0, 0), ())


def proven(*remedies: Remedy, recipe: Trial | None = None) -> list[Remedy]:
    finding = dataclasses.replace(next(iter(NeedsO().check(BLUEPRINT))), remedies=remedies)
    (judged,) = prove_remedies([finding], BLUEPRINT, [NeedsO], recipe, Judge())
    return list(judged.remedies)


@pytest.mark.parametrize(("names", "left"), [(["o_proj"], [True]), (["q_proj"], []), (["o_proj", "bad"], [])])
def test_a_plan_is_tried_and_what_does_not_mend_is_dropped(names: list[str], left: list[bool]) -> None:
    remedies = proven(Remedy("target_modules", "name it", plan={"target_modules": names}))
    assert [remedy.proven for remedy in remedies] == left


def test_words_alone_are_never_proven() -> None:
    assert proven(Remedy("other", "think again")) == [Remedy("other", "think again")]


def test_the_recipe_gives_its_plan_or_nothing() -> None:
    remedy = Remedy("target_modules", "the recipe below", by_recipe=True)
    assert proven(remedy) == []
    good = Trial(Plan("recipe", {"target_modules": ["o_proj"]}), adapted=("o_proj",), forward="ok")
    assert proven(remedy, recipe=good)[0].value == {"target_modules": ["o_proj"]}
    assert proven(remedy, recipe=good)[0].proven
    assert not proven(remedy, recipe=dataclasses.replace(good, adapted=("q_proj",)))[0].proven


class TestHarm:
    """A fix that leads from one failure into another is none."""

    class Objects(Rule):
        code, name, why = "OWN002", "objects", "It does."
        severity = Severity.ERROR

        def check(self, blueprint: Blueprint) -> Iterable[Finding]:
            adapted = blueprint.plan.adapted if blueprint.plan is not None else ()
            if "broken" in adapted:
                yield self.finding("broken is adapted")
            if "odd" in adapted:
                yield self.finding("odd is adapted", severity=Severity.WARNING)

    def remedies(self, *names: str, known: bool = False) -> tuple[Remedy, ...]:
        first = next(iter(NeedsO().check(BLUEPRINT)))
        fix = Remedy("target_modules", "name it", plan={"target_modules": [*names]})
        findings = [dataclasses.replace(first, remedies=(fix,))]
        if known:
            findings.append(self.Objects().finding("odd is adapted", severity=Severity.WARNING))
        return prove_remedies(findings, BLUEPRINT, [NeedsO, self.Objects], None, Judge())[0].remedies

    def test_an_error_elsewhere_drops_it(self) -> None:
        assert self.remedies("o_proj", "broken") == ()

    def test_a_new_warning_leaves_it_unproven(self) -> None:
        assert [remedy.proven for remedy in self.remedies("o_proj", "odd")] == [False]

    def test_a_warning_that_was_there_before_does_not(self) -> None:
        assert [remedy.proven for remedy in self.remedies("o_proj", "odd", known=True)] == [True]


class TestCrashes:
    @pytest.mark.parametrize("error", [RuntimeError("no"), SystemExit(0), KeyError("x")])
    def test_a_rule_that_raises_gives_arc999(self, error: BaseException) -> None:
        class Raises(NeedsO):
            def check(self, blueprint: Blueprint) -> Iterable[Finding]:
                raise error

        findings, unchecked = run_rules(BLUEPRINT, [Raises, NeedsO])
        assert [finding.code for finding in findings] == ["ARC999", "OWN001"]
        assert len(unchecked) == 1

    def test_a_rule_that_gives_no_finding_gives_arc999(self) -> None:
        class Odd(NeedsO):
            def check(self, blueprint: Blueprint) -> Iterable[Finding]:
                yield "a string"  # type: ignore[misc]

        assert [finding.code for finding in run_rules(BLUEPRINT, [Odd])[0]] == ["ARC999"]

    def test_a_rule_that_crashes_on_a_remedy_proves_nothing(self) -> None:
        class CrashesLater(NeedsO):
            def check(self, blueprint: Blueprint) -> Iterable[Finding]:
                if blueprint.plan is not None:
                    raise RuntimeError("not with a plan")
                yield self.finding("o_proj is not adapted")

        fix = Remedy("target_modules", "name it", plan={"target_modules": ["o_proj"]})
        finding = dataclasses.replace(next(iter(CrashesLater().check(BLUEPRINT))), remedies=(fix,))
        (judged,) = prove_remedies([finding], BLUEPRINT, [CrashesLater], None, Judge())
        assert [remedy.proven for remedy in judged.remedies] == [False]


def test_what_was_not_run_proves_nothing() -> None:
    plan = {"target_modules": ["o_proj", "unrun"]}
    (remedy,) = proven(Remedy("target_modules", "name it", plan=plan))
    assert not remedy.proven


class NeedsGrace(Rule):
    """A rule that wants SFTTrainer to do without checkpointing."""

    code, name, severity, why = "OWN003", "needs-grace", Severity.ERROR, "It does."

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        training = blueprint.training
        if trainers := [trainer for trainer in training.checkpointed if trainer is Trainer.SFT]:
            yield self.finding("it checkpoints", trainers=trainers)
        if training.arguments.get("weight_decay"):
            yield self.finding("it decays", severity=Severity.WARNING, trainers=training.trainers)


class ObjectsToOthers(Rule):
    """A rule that has something against transformers' Trainer."""

    code, name, severity, why = "OWN004", "objects-to-others", Severity.ERROR, "It does."

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        if Trainer.TRANSFORMERS in blueprint.training.trainers:
            yield self.finding("it is another", trainers=[Trainer.TRANSFORMERS])


class TestTrainers:
    """Remedies that change the trainer or its arguments are held to the same."""

    def remedies(self, remedy: Remedy, *rules: type[Rule], ran: bool = True) -> list[bool]:
        baseline = Baseline(Ground.META if ran else None)
        training = Training(fused_by=(Trainer.SFT,)).by([Trainer.SFT])
        blueprint = dataclasses.replace(BLUEPRINT, training=training, baseline=baseline)
        asked: list[type[Rule]] = [NeedsGrace, *rules]
        first, *others = (finding for rule in asked for finding in rule().check(blueprint))
        first = dataclasses.replace(first, remedies=(remedy,))
        judged = prove_remedies([first, *others], blueprint, asked, None, Judge())
        return [remedy.proven for remedy in judged[0].remedies]

    def test_an_argument_that_mends_is_proven(self) -> None:
        assert self.remedies(Remedy("setting", "off", training={"gradient_checkpointing": False})) == [True]

    @pytest.mark.parametrize("arguments", [{"gradient_checkpointing": True}, {"max_steps": 2}])
    def test_an_argument_that_mends_nothing_is_dropped(self, arguments: dict[str, object]) -> None:
        assert self.remedies(Remedy("setting", "on", training=arguments)) == []

    def test_another_trainer_that_mends_is_proven(self) -> None:
        assert self.remedies(Remedy("other", "another", trainer=Trainer.TRANSFORMERS)) == [True]

    def test_another_trainer_that_raises_as_well_is_dropped(self) -> None:
        assert self.remedies(Remedy("other", "another", trainer=Trainer.TRANSFORMERS), ObjectsToOthers) == []

    def test_both_at_once(self) -> None:
        on = {"gradient_checkpointing": True}
        assert self.remedies(Remedy("other", "both", trainer=Trainer.TRANSFORMERS, training=on)) == [True]
        assert self.remedies(Remedy("other", "both", trainer=Trainer.SFT, training=on)) == []

    def test_a_new_warning_leaves_it_unproven(self) -> None:
        arguments = {"gradient_checkpointing": False, "weight_decay": 0.1}
        assert self.remedies(Remedy("setting", "off", training=arguments)) == [False]

    def test_on_a_model_that_was_not_run_nothing_is_proven(self) -> None:
        assert self.remedies(Remedy("setting", "off", training={"gradient_checkpointing": False}), ran=False) == [False]

    def test_a_rule_that_crashes_with_it_proves_nothing(self) -> None:
        class CrashesLater(ObjectsToOthers):
            def check(self, blueprint: Blueprint) -> Iterable[Finding]:
                if not blueprint.training.checkpointed:
                    raise RuntimeError("no")
                return ()

        off = Remedy("setting", "off", training={"gradient_checkpointing": False})
        assert self.remedies(off, CrashesLater) == [False]

    def test_an_error_about_the_plan_stands_in_nobodys_way(self) -> None:
        class Plans(ObjectsToOthers):
            def check(self, blueprint: Blueprint) -> Iterable[Finding]:
                yield self.finding("the plan is bad")

        assert self.remedies(Remedy("setting", "off", training={"gradient_checkpointing": False}), Plans) == [True]


def test_behind_a_remedy_that_takes_for_ever_no_other_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(Judge):
        tried = 0

        def try_plan(self, plan: Plan) -> Trial:
            Slow.tried += 1
            while True:
                try:
                    re.fullmatch(r"(a+)+!", "a" * 40)
                except Exception:  # as PEFT has it in places
                    continue

    monkeypatch.setattr(too_slow, "MAX_SECONDS", 0.05)
    plans = [Remedy("target_modules", "name it", plan={"target_modules": [name]}) for name in ("a", "b", "c")]
    words = Remedy("other", "think again")
    finding = dataclasses.replace(next(iter(NeedsO().check(BLUEPRINT))), remedies=(*plans, words))
    (judged,) = prove_remedies([finding], BLUEPRINT, [NeedsO], None, Slow())
    assert (judged.remedies, Slow.tried) == ((words,), 1)
