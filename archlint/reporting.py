"""From what is known of a model to the report on it: trials, rules, remedies, recipe."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from archlint import claims, extent, suppressions, whereabouts
from archlint.core.blueprint import Blueprint
from archlint.core.catalog import Catalog
from archlint.core.custom_code import Conduct, OwnCode
from archlint.core.finding import Finding, LeftOut, Severity
from archlint.core.means import ALL
from archlint.core.report import Report, Unchecked
from archlint.core.stock import STOCK_PLANS
from archlint.core.suppression import Suppressed
from archlint.core.too_slow import PlanTooSlowError
from archlint.core.trainers import lacks, usual_trainers
from archlint.core.training import Trained, Trainer, Training
from archlint.core.trial import Plan, Trial
from archlint.core.verdicts import Known, Verdict, verdicts
from archlint.evidence import Evidence
from archlint.judging import prove_remedies, run_rules
from archlint.options import Options
from archlint.plans import PlanError, located
from archlint.solving import solve
from archlint.suppressions import Suppressions
from archlint.versions import version


def report(name: str, evidence: Evidence, options: Options) -> Report:
    """The report on the model of ``evidence``, which it calls ``name``; without notes on where the model is from."""
    from archlint.rules.tool.cannot_run import CannotRun

    blueprint = evidence.blueprint
    judge = evidence.judge(blueprint.scope)
    unread: tuple[Unchecked, ...] = ()
    recipe: Trial | None = None
    left_out: tuple[LeftOut, ...] = ()
    if options.prove:
        options.progress("running the model")
        blueprint = dataclasses.replace(blueprint, baseline=judge.baseline)
        if options.adapter is not None:
            blueprint, unread = _with_weights(blueprint, evidence, options)
        options.progress("running PEFT")
        try:
            plan = _user_plan(options, evidence)
            tried = None if plan is None else judge.try_plan(plan)
        except (PlanError, PlanTooSlowError) as error:  # the tool itself would refuse this model, or take for ever
            unread = (Unchecked("the plan", str(error)), *unread)
            return not_judged(name, blueprint, unread, evidence.conduct(), options)
        blueprint = dataclasses.replace(blueprint, plan=tried)
        blueprint = dataclasses.replace(blueprint, stock=judge.try_plans(STOCK_PLANS))
        options.progress("asking the trainers")
        blueprint = dataclasses.replace(blueprint, training=_training(evidence, options))
        if options.rules:
            blueprint = dataclasses.replace(blueprint, operations=evidence.operations())
        options.progress("solving for a recipe")
        solution = solve(blueprint, judge, options.means, options.preset)
        recipe, left_out = solution.trial, solution.left_out
        if options.trial_train:
            blueprint = _trained(blueprint, evidence, recipe, options)
    blueprint = dataclasses.replace(blueprint, conduct=evidence.conduct())
    findings, unchecked = run_rules(blueprint, options.rules)
    if options.prove:
        means = ALL if options.plan_file is None else options.plan_file.dialect.means
        findings = prove_remedies(findings, blueprint, options.rules, recipe, judge, means)
        blueprint = dataclasses.replace(blueprint, conduct=evidence.conduct())
    else:
        unchecked.append(Unchecked("the plans", "PEFT was not run, as asked: only the structure was judged"))
    if options.plan_file is not None and blueprint.plan is not None:
        findings = list(located(findings, options.plan_file, blueprint.plan))
    findings = whereabouts.placed(claims.held(findings, blueprint.facts.reading), blueprint)
    unchecked += [*claims.unchecked(blueprint), *unread, *lacks(blueprint.training), *_untold(blueprint, findings)]
    if (lack := CannotRun.lack(blueprint, recipe)) is not None:
        unchecked.append(lack)
    standing, suppressed = _suppressed(findings, evidence, blueprint, options, judged=not unchecked)
    own_code = _own_code(blueprint)
    return Report(
        source=name,
        model=blueprint.model,
        scope=blueprint.scope,
        findings=tuple(sorted(standing, key=lambda finding: (finding.severity.rank, finding.code))),
        suppressed=suppressed,
        recipe=recipe,
        left_out=left_out,
        training=blueprint.training,
        verdicts=_verdicts(blueprint, recipe, findings),
        dying=tuple(extent.dying(blueprint)),
        plan=blueprint.plan,
        adapts=extent.adapted(blueprint),
        stock=blueprint.stock,
        modules=extent.modules(blueprint, recipe),
        unchecked=tuple(unchecked),
        own_code=own_code,
        notes=(
            *(() if own_code is None else (str(own_code),)),
            *(() if options.plan_file is None else options.plan_file.remarks()),
            *_ignored(blueprint, options),
        ),
    )


def not_loaded(name: str, error: Exception, options: Options) -> Report:
    """The report on a source that could not be resolved, or of which no model could be built."""
    from archlint.core.blueprint import Scope
    from archlint.rules.tool.cannot_load import CannotLoad
    from archlint.rules.tool.custom_code import CustomCode
    from archlint.subject import CodeNotRunError, NotBuiltError

    found = CustomCode().not_read(error) if isinstance(error, CodeNotRunError) else CannotLoad().failed(error)
    finding, unchecked = found
    conduct = error.conduct if isinstance(error, NotBuiltError) else None
    report = Report(name, scope=options.scope or Scope.TEXT, findings=(finding,), unchecked=(unchecked,))
    return _with_conduct(report, conduct, options)


def not_judged(
    name: str, blueprint: Blueprint, unchecked: tuple[Unchecked, ...], conduct: Conduct | None, options: Options
) -> Report:
    """The report on a model that was built, and is not judged, for the reasons that ``unchecked`` has."""
    read = tuple(claims.unchecked(blueprint))
    return _with_conduct(
        Report(name, blueprint.model, blueprint.scope, unchecked=(*read, *unchecked)), conduct, options
    )


def _with_conduct(report: Report, conduct: Conduct | None, options: Options) -> Report:
    """``report`` with what the repository's own code did where it was run, and with the rules that were asked for."""
    from archlint.rules.tool.intrusive_code import IntrusiveCode

    own_code = None if conduct is None else OwnCode(conduct=conduct)
    findings = (*report.findings, *IntrusiveCode().told(conduct))
    return dataclasses.replace(
        report,
        findings=tuple(finding for finding in findings if finding.code in options.codes),
        unchecked=(*report.unchecked, *claims.attempts(conduct)),
        own_code=own_code,
        notes=() if own_code is None else (str(own_code),),
    )


def _with_weights(
    blueprint: Blueprint, evidence: Evidence, options: Options
) -> tuple[Blueprint, tuple[Unchecked, ...]]:
    """``blueprint`` with what becomes of a published adapter's weights, and what of them cannot be told."""
    adapter = options.adapter
    assert adapter is not None  # the caller looked
    lack = adapter.lack
    if adapter.shapes is not None:
        options.progress("loading the adapter's names")
        loaded = evidence.weights(adapter)
        blueprint, lack = dataclasses.replace(blueprint, weights=loaded.weights), loaded.lack or lack
    return blueprint, (Unchecked("the adapter's weights", lack),) if lack else ()


def _own_code(blueprint: Blueprint) -> OwnCode | None:
    found = OwnCode(blueprint.facts.reading, blueprint.conduct)
    return None if found == OwnCode() else found


def _suppressed(
    findings: list[Finding], evidence: Evidence, blueprint: Blueprint, options: Options, *, judged: bool
) -> tuple[list[Finding], tuple[Suppressed, ...]]:
    """The findings that no comment in the model's code suppresses, with those about such comments, and the others.

    Args:
        judged: whether all was checked: what was not may be what a comment is there for.
    """
    from archlint.rules.tool.unused_suppression import UnusedSuppression

    comments = suppressions.read(blueprint)
    if not comments:
        return findings, ()
    catalog = options.catalog or Catalog({rule.code: rule for rule in options.rules})
    comments_on = Suppressions(blueprint, comments, catalog)
    found = [(finding, comments_on.suppressed(finding)) for finding in findings]
    kept = [finding for finding, by in found if by is None]
    ran = {rule.code for rule in options.rules}
    if UnusedSuppression.code in ran:
        judged = judged and options.scope is None and options.source.class_name is None
        others = _usually_found(evidence, blueprint, options) if judged else []
        useless = comments_on.useless(findings, others, ran if judged else ())
        kept += [UnusedSuppression().useless(one.location, one.message) for one in useless]
    return kept, tuple(by for _, by in found if by is not None)


def _usually_found(evidence: Evidence, blueprint: Blueprint, options: Options) -> list[Finding]:
    """What is found by the stock plans and for the usual trainers, whatever was asked."""
    usual = dataclasses.replace(blueprint, plan=None, training=_training(evidence, Options()))
    return run_rules(usual, options.rules)[0]


def _user_plan(options: Options, evidence: Evidence) -> Plan | None:
    if options.plan_file is None:
        return options.plan
    plan = evidence.plan(options.plan_file)
    return plan if options.plan is None else dataclasses.replace(plan, lora={**plan.lora, **options.plan.lora})


def _training(evidence: Evidence, options: Options) -> Training:
    """What the trainers make of the model, those that it is checked for."""
    named = (
        options.trainers if options.trainers is not None or options.plan_file is None else options.plan_file.trainers
    )
    trainers = usual_trainers(evidence.blueprint) if named is None else named
    if not trainers or evidence.blueprint.facts.reading is not None:
        return Training()
    training = evidence.training().by(trainers, **_trainer_arguments(options))
    return dataclasses.replace(training, are_named=named is not None)


def _trainer_arguments(options: Options) -> dict[str, Any]:
    """What the trainer is given: by the plan's file, and over it by ``options``."""
    written = {} if options.plan_file is None else options.plan_file.trainer_arguments
    return {**written, **options.trainer_arguments}


def _verdicts(blueprint: Blueprint, recipe: Trial | None, findings: Sequence[Finding]) -> tuple[Verdict, ...]:
    """What each trainer makes of the model."""
    plan = blueprint.plan
    known = Known(blueprint.training, blueprint.facts, blueprint.trials, recipe if plan is None else plan, findings)
    return tuple(verdicts(known, version("transformers")))


def _trained(blueprint: Blueprint, evidence: Evidence, recipe: Trial | None, options: Options) -> Blueprint:
    """``blueprint`` with what came of real steps: with the user's plan as it is, or the recipe and what it needs."""
    training = blueprint.training
    trial, arguments = blueprint.plan, _trainer_arguments(options)
    if trial is None:
        trial, arguments = recipe, {**arguments, **(training.needed_by(Trainer.SFT) or {})}
    if trial is None or trial.raised is not None:
        trained = Trained(reason="there is no plan that PEFT takes")
    else:
        options.progress("training a small copy")
        trained = evidence.trained(trial, arguments)
    return dataclasses.replace(blueprint, training=dataclasses.replace(training, trained=trained))


def _untold(blueprint: Blueprint, findings: Iterable[Finding]) -> Iterator[Unchecked]:
    """What the user's plan fails with, where the rules that would tell it were left out: that is not clean."""
    plan = blueprint.plan
    if plan is None or any(finding.severity is Severity.ERROR for finding in findings):
        return
    if plan.raised is not None:
        yield Unchecked("the plan", f"PEFT raises, and no rule that ran says why: {' '.join(str(plan.raised).split())}")
    elif plan.crash is not None:
        yield Unchecked("the plan", f"the training step crashes, and no rule that ran says why: {plan.crash}")


def _ignored(blueprint: Blueprint, options: Options) -> Iterator[str]:
    """What would be an error or a warning but for rules that are ignored, and who says so."""
    catalog = options.catalog or Catalog({})
    for code, by in options.ignored.items():
        if (rule := catalog.rules.get(code)) is None:  # of a plugin that could not be loaded, which is told
            continue
        said = [one for one in run_rules(blueprint, [rule])[0] if one.code == rule.code and not one.unchecked]
        worst = min((finding.severity for finding in said), key=lambda severity: severity.rank, default=Severity.INFO)
        if worst is not Severity.INFO:
            yield f"{rule.code} {rule.name} ({worst.value}) is ignored by {by}"
