"""Run rules, and hold their remedies to what they promise.

A rule may come from anywhere and do anything; what it says is taken only where it is a finding.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

from archlint.core import guesses, too_slow
from archlint.core.amending import gives_up
from archlint.core.blueprint import Blueprint, Scope
from archlint.core.finding import Finding, Remedy, Severity
from archlint.core.means import ALL, Means
from archlint.core.presets import Preset
from archlint.core.refusals import Cause, cause
from archlint.core.report import Unchecked
from archlint.core.rule import Rule
from archlint.core.safety import Safety
from archlint.core.trial import LORA, Baseline, Judge, Plan, Trial
from archlint.deadline import deadline
from archlint.solving import PLACING, nearest, respelled, solve

_TARGETS = ("target_modules", "target_parameters")


class ScopedJudge(Judge, Protocol):
    """What can try a plan, for any scope."""

    @property
    def baseline(self) -> Baseline:
        """What the model does without adapters, on a batch for the scope."""
        ...

    def scoped(self, scope: Scope) -> ScopedJudge:
        """The same for another scope."""
        ...


def run_rules(blueprint: Blueprint, rules: Iterable[type[Rule]]) -> tuple[list[Finding], list[Unchecked]]:
    """What ``rules`` say of a blueprint; a rule that crashes gives ARC999 and the others stand."""
    findings: list[Finding] = []
    unchecked: list[Unchecked] = []
    for rule in rules:
        said, crash = _run(rule, blueprint)
        findings += said
        unchecked += crash
    return findings, unchecked


def _run(rule: type[Rule], blueprint: Blueprint) -> tuple[list[Finding], list[Unchecked]]:
    from archlint.rules.tool.rule_crashed import RuleCrashed

    try:
        said = list(rule().check(blueprint))
        for finding in said:
            if not isinstance(finding, Finding):
                raise TypeError(f"check() gave {type(finding).__name__}, not a Finding")
    except (Exception, SystemExit) as error:  # a plugin may raise anything
        crash, what = RuleCrashed().crashed(rule, error)
        return [crash], [what]
    return said, []


def prove_remedies(
    findings: Iterable[Finding],
    blueprint: Blueprint,
    rules: Sequence[type[Rule]],
    recipe: Trial | None,
    judge: ScopedJudge,
    means: Means = ALL,
) -> list[Finding]:
    """``findings`` with remedies that were tried; those that the recipe stands for get its plan.

    A remedy's plan goes through PEFT and then through all ``rules``. It is proven where PEFT takes it, the
    finding is gone, no rule gives an error, and no rule warns that did not warn before. A remedy that does not
    mend its finding, or leads to an error, is dropped; so is one that points to a recipe where there is none.

    With a plan of the user's, what is said with its tuner and its other settings, and by ``means``: those of the
    tool that the plan is for.
    """
    findings = list(findings)
    known = [finding for finding in findings if finding.severity is not Severity.INFO]
    standing = frozenset(
        finding.code
        for finding in run_rules(dataclasses.replace(blueprint, plan=None, stock=()), rules)[0]
        if finding.severity is Severity.ERROR
    )
    court = _Court(blueprint, rules, tuple(known), standing, recipe, judge, means)
    return [dataclasses.replace(finding, remedies=tuple(court.judged(finding))) for finding in findings]


@dataclasses.dataclass(frozen=True)
class _Court:
    blueprint: Blueprint
    rules: Sequence[type[Rule]]
    known: tuple[Finding, ...]
    """The errors and warnings that there are without any remedy."""
    standing: frozenset[str]
    """Codes of the errors that the model gives with any plan."""
    recipe: Trial | None
    judge: ScopedJudge
    means: Means
    late: list[Mapping[str, Any]] = dataclasses.field(default_factory=list)
    """Plans that took too long; behind the first of them no other is tried."""

    def judged(self, finding: Finding) -> Iterator[Remedy]:
        """The remedies of ``finding`` that hold; the first is no alternative to anything."""
        for n, remedy in enumerate(self._held(finding)):
            yield remedy if n else dataclasses.replace(remedy, text=remedy.text.removeprefix("or "))

    def _held(self, finding: Finding) -> Iterator[Remedy]:
        told: list[Mapping[str, Any]] = []
        for remedy in finding.remedies:
            for option in self._by_recipe(remedy) if remedy.by_recipe else [remedy]:
                if option.training is not None or option.trainer is not None:
                    yield from self._by_trainer(option, finding)
                elif option.plan is not None:
                    for tried in self._tried(option, finding):
                        assert tried.plan is not None  # as that of the option
                        if tried.plan not in told:
                            told.append(tried.plan)
                            yield tried
                elif option.by_recipe and self.recipe is not None:
                    proven = self._proves(self.recipe, finding, self.blueprint)
                    yield dataclasses.replace(option, proven=bool(proven))
                else:
                    yield option

    def _by_trainer(self, remedy: Remedy, finding: Finding) -> Iterator[Remedy]:
        """``remedy``, a change of the trainer or of what it is given, where the finding is gone with it."""
        others = [remedy.trainer] if remedy.trainer is not None else []
        training = self.blueprint.training.by(others, **(remedy.training or {}))
        findings, crashes = run_rules(dataclasses.replace(self.blueprint, training=training), self.rules)
        known = {other.code for other in self.known} - {finding.code}
        new = [other for other in findings if other.trainers and other.code not in known]
        if not any(other.severity.rank <= finding.severity.rank for other in new):
            harmless = not crashes and all(other.severity is Severity.INFO for other in new)
            ran = self.blueprint.baseline.ground is not None
            yield dataclasses.replace(remedy, proven=ran and harmless)

    def _by_recipe(self, remedy: Remedy) -> Iterator[Remedy]:
        """What a remedy comes to that points to the recipe: of a user's plan, first what can be kept."""
        if self.recipe is None:
            return
        value = dict(self.recipe.plan.lora)
        plan = self.blueprint.plan
        if plan is None:
            yield dataclasses.replace(remedy, value=value)
            return
        if (kept := self._kept) is not None:
            targets = {key: kept[key] for key in ("target_modules", "target_parameters") if kept.get(key)}
            kind = "target_modules" if targets.keys() == {"target_modules"} else "setting"
            yield Remedy(
                kind,
                "keep what the plan reaches and the recipe trains",
                targets["target_modules"] if kind == "target_modules" else targets,
                plan=kept,
            )
        others = {key: given for key, given in plan.plan.lora.items() if key not in PLACING}
        if (meant := self._attention) is not None:
            text = "take the names that the model's attention has"
            safety = Safety.EXACT if guesses.names_outputs(plan.plan.lora["target_modules"]) else Safety.LOSSY
            yield Remedy(remedy.kind, text, meant.get("target_modules"), safety, plan={**others, **meant})
        yield dataclasses.replace(remedy, value=value, plan={**others, **value})

    @cached_property
    def _attention(self) -> dict[str, Any] | None:
        """The recipe for the attention alone, where a user's plan reaches nothing and names nothing else."""
        plan = self.blueprint.plan
        if plan is None or cause(self.blueprint, plan) is not Cause.NOTHING_REACHED:
            return None
        if not guesses.names_attention(plan.plan.lora.get("target_modules")):
            return None
        trial = solve(self.blueprint, self.judge, self.means, Preset.ATTENTION).trial
        return None if trial is None else dict(trial.plan.lora)

    @cached_property
    def _kept(self) -> dict[str, Any] | None:
        plan, recipe = self.blueprint.plan, self.recipe
        if plan is None or recipe is None:
            return None
        return nearest(self.blueprint, plan, recipe, dataclasses.replace(self.means, exclusion=False))

    def _tried(self, remedy: Remedy, finding: Finding) -> Iterator[Remedy]:
        assert remedy.plan is not None  # the caller looked
        scope = remedy.scope or self.blueprint.scope
        judge = self.judge.scoped(scope)
        trial = self._trial(judge, remedy.plan)
        if trial is None:
            return
        blueprint = dataclasses.replace(self.blueprint, scope=scope, baseline=judge.baseline)
        if trial.raised is None and not self.means.allow(remedy.plan):
            plan = respelled(self.blueprint, trial, self.means)
            if plan is None:
                return
            value = plan.get(remedy.kind, plan.get("target_modules"))
            remedy = dataclasses.replace(remedy, plan=plan, value=value, by_recipe=False)
            trial = self._trial(judge, plan)
            if trial is None:
                return
        proven = self._proves(trial, finding, blueprint)
        if proven is not None:
            lossy = self._gives_up(trial) or self._trains_more(remedy, trial)
            yield dataclasses.replace(remedy, proven=proven, safety=Safety.LOSSY if lossy else remedy.safety)

    def _gives_up(self, trial: Trial) -> bool:
        """Whether ``trial`` turns off what the user's plan asks for, or leaves out what it singles out by name."""
        user = self.blueprint.plan
        if user is None:
            return False
        named = user.reached_through("target_parameters").intersection(self.blueprint.by_path)
        lost = named.difference(trial.adapted)
        return bool(lost or set(user.saved).difference(trial.saved)) or gives_up(user.plan.lora, trial.plan.lora)

    def _trains_more(self, remedy: Remedy, trial: Trial) -> bool:
        """Whether ``trial`` adapts what the user's plan never named, and no dead name may have meant."""
        user = self.blueprint.plan
        if user is None or user.plan.says_all:
            return False
        if not remedy.by_recipe:
            targets = [entry for entry in user.entries if entry.setting in _TARGETS]
            if not targets or not all(entry.reaches for entry in targets):  # what else is adapted is a guess at these
                return False
        elif cause(self.blueprint, user) is Cause.NOTHING_REACHED:
            return self._attention is not None
        reached = user.reached_through(*_TARGETS).union(user.reached)
        return any(path not in reached and path.rpartition(".")[0] not in reached for path in trial.adapted)

    def _trial(self, judge: ScopedJudge, arguments: Mapping[str, Any]) -> Trial | None:
        """What comes of a plan; ``None`` where a pattern of the user's takes longer than any that is meant."""
        if not self.late:
            try:
                with deadline(too_slow.MAX_SECONDS, too_slow.PlanTooSlowError):
                    return judge.try_plan(self._plan(arguments))
            except too_slow.PlanTooSlowError:
                self.late.append(arguments)
        return None

    def _plan(self, arguments: Mapping[str, Any]) -> Plan:
        user = self.blueprint.plan
        return Plan("remedy", arguments, LORA if user is None else user.plan.tuner)

    def _proves(self, trial: Trial, finding: Finding, blueprint: Blueprint) -> bool | None:
        """Whether ``trial`` mends ``finding`` without harm; ``None`` where it mends nothing, or breaks something."""
        if trial.raised is not None:
            return None
        trial = blueprint.measured(trial)
        findings, crashes = run_rules(dataclasses.replace(blueprint, plan=trial), self.rules)
        bad = [other for other in findings if other.severity is not Severity.INFO and not other.unchecked]
        bad = [other for other in bad if other.code not in self.standing]
        others = {known.fingerprint for known in self.known} - {finding.fingerprint}
        again = (other for other in bad if other.code == finding.code and other.fingerprint not in others)
        if any(again) or any(other.severity is Severity.ERROR for other in bad):
            return None
        codes = {known.code for known in self.known}
        return trial.forward == "ok" and not crashes and all(other.code in codes for other in bad)
