"""One source through all stages: config, skeleton, survey, trials, rules, recipe."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import platform
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from archlint import extent, published, suppressions
from archlint.core.blueprint import (
    Blueprint,
    Kind,
    ModelInfo,
    Operation,
    Scope,
    is_projection,
)
from archlint.core.catalog import Catalog, RuleLoadError
from archlint.core.finding import Finding, LeftOut, Severity
from archlint.core.means import ALL, Means
from archlint.core.report import Environment, Report, Run, Unchecked
from archlint.core.rule import Rule
from archlint.core.suppression import Suppressed
from archlint.core.training import Trained, Trainer, Training
from archlint.core.trial import Plan, Trial
from archlint.core.verdicts import Known, Verdict, verdicts
from archlint.deadline import deadline
from archlint.judging import prove_remedies, run_rules
from archlint.plans import PlanError, PlanFile, located
from archlint.published import PublishedAdapter
from archlint.quiet import quiet
from archlint.solving import Preset, solve
from archlint.sources import Source, SourceError, SourceOptions, resolve
from archlint.sources.hub import AdapterOnHubError
from archlint.suppressions import Suppressions

if TYPE_CHECKING:
    from torch import nn

    from archlint.proving import Prover
    from archlint.skeleton import Skeleton


_ONE_AT_A_TIME = threading.RLock()
"""A check changes parts of torch and of the process while it runs, and puts them back."""


MAX_SECONDS = 60.0
"""Ten times what the largest plan on the largest model takes."""

_MADE = 20_000
"""New objects after which Python looks for dead ones among them."""


class PlanTooSlowError(BaseException):
    """A plan takes longer to match than any that is meant; no code of a model that catches errors may catch it."""

    def __init__(self) -> None:
        super().__init__(f"matching it with the model takes more than {MAX_SECONDS:.0f} s: is a pattern too involved?")


def _nothing(_: str) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a source is to be checked."""

    scope: Scope | None = None
    """What is to be trained; ``None`` lets the model decide."""
    plan: Plan | None = None
    """The user's; ``None`` tries the stock plans."""
    plan_file: PlanFile | None = None
    """Where the user's plan comes from; the arguments of ``plan`` win over what it says."""
    rules: Sequence[type[Rule]] = ()
    ignored: Mapping[type[Rule], str] = field(default_factory=dict)
    """Rules that are not among these, and by whom and why they are ignored: told where one would have found harm."""
    missing_rules: Sequence[RuleLoadError] = ()
    """Installed plugins that could not be loaded: what they would have said is unchecked."""
    catalog: Catalog | None = None
    """The rules that comments in a model's code may name; ``None`` takes those that run."""
    trainers: Sequence[Trainer] | None = None
    """Whom the model is checked for; ``None`` lets the plan's file decide, and else the model."""
    trainer_arguments: Mapping[str, Any] = field(default_factory=dict)
    """What the trainer is given, besides what the plan's file says."""
    trial_train: bool = False
    """Whether the installed SFTTrainer is tried on a small copy, with the user's plan or else the recipe."""
    prove: bool = True
    preset: Preset = Preset.ALL
    """Which layers of the scope the recipe is to adapt."""
    means: Means = ALL
    """What the tool can say that the recipe is for."""
    source: SourceOptions = field(default_factory=SourceOptions)
    progress: Callable[[str], None] = _nothing
    """Told the name of each stage as it begins."""


def environment() -> Environment:
    """The versions that a result depends on."""
    return Environment(
        python=platform.python_version(),
        **{name: _version(name) for name in ("torch", "transformers", "accelerate", "peft", "trl")},
    )


def finished(reports: Iterable[Report]) -> Run:
    """A run that ends now."""
    now = datetime.now(timezone.utc).replace(microsecond=0)
    return Run(environment(), tuple(reports), created=now.isoformat().replace("+00:00", "Z"))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def check(source: str | nn.Module, options: Options) -> Report:
    """The report on one source; whatever keeps it from being loaded is in the report, not raised."""
    with checking(source, options) as judge:
        return judge(options)


@contextlib.contextmanager
def checking(source: str | nn.Module, options: Options) -> Iterator[Callable[[Options], Report]]:
    """What checks one source for several plans: the model is built once, and each plan tried once.

    The options that are judged by may differ from ``options`` in the plan, its file and the rules.
    """
    started = time.monotonic()
    with _opening(source, options) as (opened, adapter):

        def judge(options: Options) -> Report:
            nonlocal started
            if adapter is not None and options.plan_file is None:
                options = dataclasses.replace(options, plan_file=adapter.plan_file)
            report = opened if isinstance(opened, Report) else _judge(opened, options)
            missing = tuple(Unchecked("a rule plugin", str(error)) for error in options.missing_rules)
            seconds, started = round(time.monotonic() - started, 3), time.monotonic()
            return dataclasses.replace(report, unchecked=report.unchecked + missing, seconds=seconds)

        yield judge


@contextlib.contextmanager
def opening(source: str | nn.Module, options: Options) -> Iterator[Opened | Report]:
    """The model of one source, built and surveyed; or a report that says why there is none."""
    with _opening(source, options) as (opened, _):
        yield opened


@contextlib.contextmanager
def _opening(source: str | nn.Module, options: Options) -> Iterator[tuple[Opened | Report, PublishedAdapter | None]]:
    with _ONE_AT_A_TIME, quiet(), _seldom_collected():
        adapter: PublishedAdapter | None = None
        try:
            adapter = published.find(source) if isinstance(source, str) else None
            try:
                opened = _open_any(source, adapter, options)
            except AdapterOnHubError as found:
                adapter = published.from_hub(str(source), found)
                opened = _open_any(source, adapter, options)
        except SourceError as error:
            opened = _not_loaded(str(source), None, error, options)
        yield opened, adapter


@contextlib.contextmanager
def _seldom_collected() -> Iterator[None]:
    """Within the block Python looks less often for dead objects that refer to each other.

    To import torch, and to place an adapter in every layer, makes objects by the million, and nearly all live on.
    """
    before = gc.get_threshold()
    if 0 < before[0] < _MADE:  # 0 is off
        gc.set_threshold(_MADE, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _open_any(source: str | nn.Module, adapter: PublishedAdapter | None, options: Options) -> Opened | Report:
    if not isinstance(source, str):
        return _open_object(source, options)
    if adapter is None:
        return _open_source(source, options)
    base = dataclasses.replace(options.source, revision=None, subfolder=None)  # which are the adapter's
    opened = _open_source(adapter.base, dataclasses.replace(options, source=base), adapter)
    note = f"an adapter for {adapter.base}"
    if isinstance(opened, Report):
        return dataclasses.replace(opened, source=source, notes=(note, *opened.notes))
    opened = dataclasses.replace(opened, name=source, notes=(note, *opened.notes))
    if not options.prove:
        return opened
    from archlint.proving.loading import NotLoadableError, load

    lack = adapter.lack
    if adapter.shapes is not None:
        options.progress("loading the adapter's names")
        try:
            weights = load(opened.prover.model, adapter.settings, adapter.shapes, adapter.file)
            return dataclasses.replace(opened, blueprint=dataclasses.replace(opened.blueprint, weights=weights))
        except NotLoadableError as error:
            lack = str(error)
    unchecked = (Unchecked("the adapter's weights", lack),) if lack else ()
    return dataclasses.replace(opened, unchecked=unchecked)


@dataclass(frozen=True)
class Opened:
    """A model that is built and surveyed, and what tries plans on it."""

    name: str
    blueprint: Blueprint
    prover: Prover
    notes: tuple[str, ...]
    unchecked: tuple[Unchecked, ...] = ()

    @cached_property
    def training(self) -> Training:
        """What any trainer makes of the model."""
        from archlint.training import ask

        return ask(self.prover)

    @cached_property
    def operations(self) -> tuple[Operation, ...]:
        """What can be done about the model's wrappers."""
        from archlint.surgery import wrappers

        if not self.blueprint.select(Kind.WRAPPER):
            return ()
        return tuple(option.operation for option in wrappers.options(self.prover.model, self.blueprint, self.prover))


def _open_source(name: str, options: Options, adapter: PublishedAdapter | None = None) -> Opened | Report:
    """The model of a source; for an adapter in the class, and with the head, that it was trained on."""
    from archlint.rules.tool.custom_code import CustomCode

    options.progress("reading the config")
    source: Source | None = None
    try:
        source = resolve(name, options.source)
        assert source.config is not None
        options.progress("building the model on the meta device")
        from archlint.skeleton import SkeletonError, build
        from archlint.skeleton.build import CustomCodeError
        from archlint.skeleton.classes import class_for_task

        config, class_name = dict(source.config), options.source.class_name
        if adapter is not None:
            class_name = class_name or class_for_task(config, adapter.task)
            config = config if class_name is None else adapter.with_head(config)
        elif Trainer.REWARD in (options.trainers or ()):
            class_name = class_name or class_for_task(config, "SEQ_CLS")
            config = published.with_labels(config, 1)  # as the trainer loads it
        try:
            skeleton = build(
                config,
                class_name=class_name,
                code=source.folder,
                trust_remote_code=options.source.trust_remote_code,
            )
        except CustomCodeError as error:
            finding, unchecked = CustomCode().not_run(error)
            return _unloaded(name, source, finding, unchecked, options)
        except SkeletonError as error:
            raise SourceError(str(error)) from error
    except AdapterOnHubError:
        raise
    except SourceError as error:
        return _not_loaded(name, source, error, options)
    info = ModelInfo(
        id=source.id,
        origin=source.origin,
        class_name="",
        model_type="",
        parameters=0,
        modules=0,
        revision=source.revision,
        family=source.family,
    )
    return _open(name, skeleton, info, options, source.notes)


def _not_loaded(name: str, source: Source | None, error: Exception, options: Options) -> Report:
    from archlint.rules.tool.cannot_load import CannotLoad

    finding, unchecked = CannotLoad().failed(error)
    return _unloaded(name, source, finding, unchecked, options)


def _unloaded(name: str, source: Source | None, finding: Finding, unchecked: Unchecked, options: Options) -> Report:
    selected = {rule.code for rule in options.rules}
    return Report(
        source=name,
        scope=options.scope or Scope.TEXT,
        findings=(finding,) if finding.code in selected else (),
        unchecked=(unchecked,),
        notes=source.notes if source is not None else (),
    )


def _open_object(model: nn.Module, options: Options) -> Opened | Report:
    from archlint.skeleton import Skeleton
    from archlint.survey import LiveModelError, plain_model, without_weights

    try:
        model = plain_model(model)
    except LiveModelError as error:
        return _not_loaded(type(model).__name__, None, error, options)
    name = str(getattr(model, "name_or_path", "") or type(model).__name__)
    info = ModelInfo(id=name, origin="object", class_name="", model_type="", parameters=0, modules=0)
    return _open(name, Skeleton(without_weights(model)), info, options, ())


def _open(name: str, skeleton: Skeleton, info: ModelInfo, options: Options, notes: tuple[str, ...]) -> Opened | Report:
    from archlint.proving import Prover
    from archlint.survey import survey

    options.progress("taking the census")
    blueprint = survey(skeleton, info, options.scope)
    if (missing := _missing_part(blueprint)) is not None:
        return Report(name, model=blueprint.model, scope=blueprint.scope, unchecked=(missing,), notes=notes)
    prover = Prover(skeleton.model, blueprint)
    if options.prove:
        options.progress("running the model")
        blueprint = dataclasses.replace(blueprint, baseline=prover.baseline)
    return Opened(name, blueprint, prover, notes)


def _judge(opened: Opened, options: Options) -> Report:
    from archlint.proving import STOCK_PLANS
    from archlint.rules.tool.cannot_run import CannotRun
    from archlint.training import lacks

    blueprint, prover = opened.blueprint, opened.prover
    recipe: Trial | None = None
    left_out: tuple[LeftOut, ...] = ()
    if options.prove:
        options.progress("running PEFT")
        try:
            with deadline(MAX_SECONDS, PlanTooSlowError):
                plan = _user_plan(options, blueprint)
                tried = None if plan is None else prover.try_plan(plan)
        except (PlanError, PlanTooSlowError) as error:  # the tool itself would refuse this model, or take for ever
            unread = (Unchecked("the plan", str(error)), *opened.unchecked)
            return Report(opened.name, blueprint.model, blueprint.scope, unchecked=unread, notes=opened.notes)
        blueprint = dataclasses.replace(blueprint, plan=tried)
        blueprint = dataclasses.replace(blueprint, stock=prover.try_plans(STOCK_PLANS))
        options.progress("asking the trainers")
        blueprint = dataclasses.replace(blueprint, training=_training(opened, options))
        if options.rules:
            blueprint = dataclasses.replace(blueprint, operations=opened.operations)
        options.progress("solving for a recipe")
        solution = solve(blueprint, prover, options.means, options.preset)
        recipe, left_out = solution.trial, solution.left_out
        if options.trial_train:
            blueprint = _trained(blueprint, prover, recipe, options)
    findings, unchecked = run_rules(blueprint, options.rules)
    if options.prove:
        means = ALL if options.plan_file is None else options.plan_file.dialect.means
        findings = prove_remedies(findings, blueprint, options.rules, recipe, prover, means)
    else:
        unchecked.append(Unchecked("the plans", "PEFT was not run, as asked: only the structure was judged"))
    if options.plan_file is not None and blueprint.plan is not None:
        findings = list(located(findings, options.plan_file, blueprint.plan))
    unchecked += [*opened.unchecked, *lacks(blueprint.training), *_untold(blueprint, findings)]
    if (lack := CannotRun.lack(blueprint, recipe)) is not None:
        unchecked.append(lack)
    standing, suppressed = _suppressed(findings, opened, blueprint, options, judged=not unchecked)
    return Report(
        source=opened.name,
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
        notes=(
            *opened.notes,
            *(() if options.plan_file is None else options.plan_file.remarks()),
            *_ignored(blueprint, options.ignored),
        ),
    )


def _suppressed(
    findings: list[Finding], opened: Opened, blueprint: Blueprint, options: Options, *, judged: bool
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
        others = _usually_found(opened, blueprint, options) if judged else []
        useless = comments_on.useless(findings, others, ran if judged else ())
        kept += [UnusedSuppression().useless(one.location, one.message) for one in useless]
    return kept, tuple(by for _, by in found if by is not None)


def _usually_found(opened: Opened, blueprint: Blueprint, options: Options) -> list[Finding]:
    """What is found by the stock plans and for the usual trainers, whatever was asked."""
    usual = dataclasses.replace(blueprint, plan=None, training=_training(opened, Options()))
    return run_rules(usual, options.rules)[0]


def _user_plan(options: Options, blueprint: Blueprint) -> Plan | None:
    if options.plan_file is None:
        return options.plan
    plan = options.plan_file.plan(blueprint)
    return plan if options.plan is None else dataclasses.replace(plan, lora={**plan.lora, **options.plan.lora})


def _training(opened: Opened, options: Options) -> Training:
    """What the trainers make of the model, those that it is checked for."""
    from archlint.training import usual_trainers

    named = (
        options.trainers if options.trainers is not None or options.plan_file is None else options.plan_file.trainers
    )
    trainers = usual_trainers(opened.blueprint) if named is None else named
    if not trainers:
        return Training()
    training = opened.training.by(trainers, **_trainer_arguments(options))
    return dataclasses.replace(training, are_named=named is not None)


def _trainer_arguments(options: Options) -> dict[str, Any]:
    """What the trainer is given: by the plan's file, and over it by ``options``."""
    written = {} if options.plan_file is None else options.plan_file.trainer_arguments
    return {**written, **options.trainer_arguments}


def _verdicts(blueprint: Blueprint, recipe: Trial | None, findings: Sequence[Finding]) -> tuple[Verdict, ...]:
    """What each trainer makes of the model."""
    plan = blueprint.plan
    known = Known(blueprint.training, blueprint.facts, blueprint.trials, recipe if plan is None else plan, findings)
    return tuple(verdicts(known, _version("transformers")))


def _trained(blueprint: Blueprint, prover: Prover, recipe: Trial | None, options: Options) -> Blueprint:
    """``blueprint`` with what came of real steps: with the user's plan as it is, or the recipe and what it needs."""
    from archlint.proving.real_training import train

    training = blueprint.training
    trial, arguments = blueprint.plan, _trainer_arguments(options)
    if trial is None:
        trial, arguments = recipe, {**arguments, **(training.needed_by(Trainer.SFT) or {})}
    if trial is None or trial.raised is not None:
        trained = Trained(reason="there is no plan that PEFT takes")
    else:
        options.progress("training a small copy")
        trained = train(prover.model, blueprint, trial, arguments)
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


def _ignored(blueprint: Blueprint, ignored: Mapping[type[Rule], str]) -> Iterator[str]:
    """What would be an error or a warning but for rules that are ignored, and who says so."""
    for rule, by in ignored.items():
        said = [one for one in run_rules(blueprint, [rule])[0] if one.code == rule.code and not one.unchecked]
        worst = min((finding.severity for finding in said), key=lambda severity: severity.rank, default=Severity.INFO)
        if worst is not Severity.INFO:
            yield f"{rule.code} {rule.name} ({worst.value}) is ignored by {by}"


def _missing_part(blueprint: Blueprint) -> Unchecked | None:
    """What keeps a model from being judged: silence about nothing would read as clean."""
    model, scope = blueprint.model, blueprint.scope
    if not model.parameters:
        return Unchecked("the model", f"{model.class_name} has no parameters")
    if blueprint.projections or scope is Scope.ALL:
        return None
    there = dict.fromkeys(site.role.value for site in blueprint.sites if is_projection(site))
    return Unchecked(f"the scope {scope.value}", f"the model has no {scope.value} part; it has {', '.join(there)}")
