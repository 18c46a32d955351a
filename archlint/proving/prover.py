"""Run plans through PEFT on one skeleton, which is given back unchanged after each."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import json
import traceback
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from functools import cached_property
from types import MappingProxyType, TracebackType
from typing import Any, TypeVar

from torch import nn

from archlint.core.blueprint import Blueprint, Kind, Scope
from archlint.core.messages import settled
from archlint.core.trial import USER, Baseline, Crash, Entry, Ground, Mute, Plan, Refusal, Trial
from archlint.deadline import deadline
from archlint.proving.adapted_head import refused_head
from archlint.proving.adapter_file import AdapterFile, adapter_file
from archlint.proving.gradients import Adapters
from archlint.proving.initialisations import initialisations
from archlint.proving.matching import entries, reached
from archlint.proving.muting import muted
from archlint.proving.on_copy import Copy
from archlint.proving.sparing import Sparing, is_sparing
from archlint.proving.token_rows import out_of_bounds
from archlint.proving.tuners import UnknownTunerError, config_of, own_inputs
from archlint.proving.without_content import lacks_content, numbers_made_up
from archlint.running import (
    MAX_SECONDS,
    Batch,
    DepthNeededError,
    NoSmallCopyError,
    Run,
    Runner,
    TooSlowError,
    restored,
)

T = TypeVar("T")

_PLACING = frozenset({"_create_and_replace", "_check_target_module_compatiblity", "create_and_replace_param"})
"""PEFT's functions that deal with one site; an exception that passes through them is about that site."""

_PLAIN = frozenset({Kind.LINEAR, Kind.CONV1D, Kind.EMBEDDING, Kind.CONV, Kind.NORM})
"""What an adapter is made for: where one crashes there, the meta device may be all that is wrong."""


_NONE: Mapping[str, str] = MappingProxyType({})


class _NoContentError(Exception):
    """PEFT computes with values that a meta tensor has not, or with a package that is not there.

    ``config`` is the plan's, as far as PEFT came with it.
    """

    def __init__(self, cause: Exception, config: Any) -> None:
        super().__init__(f"{type(cause).__name__}: {settled(' '.join(str(cause).split()))}")
        self.config = config


class _Depth(enum.Enum):
    """The layers on which a plan is placed and run."""

    ANY = "adapters in all layers; run on as few as tell"
    CUT = "adapters in the layers that tell, and run on those"
    WHOLE = "adapters in all layers, and run on those"


class _AllNeededError(Exception):
    """The adapters that were made do not tell what came of the others.

    ``is_deep`` where that is all that is left to find out: a run with the layers cut was made, and does not tell.
    """

    def __init__(self, *, is_deep: bool = False) -> None:
        super().__init__()
        self.is_deep = is_deep


class Prover:
    """Tries plans on the model of a blueprint.

    Args:
        not_run: why the model is not to be run, where it is none that can be.
    """

    def __init__(self, model: nn.Module, blueprint: Blueprint, *, not_run: str = "") -> None:
        self._model = model
        self._not_run = not_run
        self._blueprint = blueprint
        self._is_meta = all(parameter.is_meta for parameter in model.parameters())
        self._names = [name for name, _ in model.named_modules()]
        self._parameters = [name for name, _ in model.named_parameters()]
        self._lists = {name: part for name, part in model.named_modules() if isinstance(part, nn.ModuleList)}
        self._trials: dict[str, Trial] = {}
        self._others: dict[Scope, Prover] = {}

    @property
    def model(self) -> nn.Module:
        """The model that plans are tried on."""
        return self._model

    @cached_property
    def _runner(self) -> Runner:
        return Runner(self._model, self._blueprint, not_run=self._not_run)

    @cached_property
    def _small(self) -> Copy | None:
        """A small copy; the model must hold no adapters when this is first asked for."""
        if self._not_run:
            return None
        try:
            return Copy(self._model, self._blueprint)
        except NoSmallCopyError:
            return None

    @property
    def _copy(self) -> Copy | None:
        """The small copy, where the model itself cannot be run."""
        return self._small if self._runner.baseline.ground is None else None

    @property
    def baseline(self) -> Baseline:
        """What the model does in training without adapters."""
        return self._runner.baseline if self._copy is None else self._copy.baseline

    def observe(self, look: Callable[[nn.Module, Batch], T]) -> T | None:
        """What ``look`` finds in the model without adapters, or else in a small copy; ``None`` where neither runs.

        Args:
            look: is given a model in training mode and a batch; it may run it, and change what is put back.
        """
        try:
            return self._runner.observe(look) if self._copy is None else self._copy.observe(look)
        except TooSlowError:
            return None

    def _run(
        self, plan: Plan, adapters: Adapters, adapted: Collection[str], saved: Collection[str], depth: _Depth
    ) -> Run | None:
        """A training step with the adapters of ``plan``.

        Raises:
            _AllNeededError: it takes more layers than ``depth`` has.
        """
        if self._copy is not None:
            # PEFT names the parameters that it adapts by their weight, and a Linear's is no site of its own
            return self._copy.run(plan, adapted, saved)

        def dead() -> tuple[str, ...]:
            return self._sites([*adapters.without_gradient(), *adapters.saved_without_gradient()], plan)

        if depth is _Depth.WHOLE:
            return self._runner.run_whole(dead)
        if depth is _Depth.ANY:
            return self._runner.run((*adapted, *saved), dead)
        try:
            return self._runner.run_cut((*adapted, *saved), dead)
        except DepthNeededError as error:
            raise _AllNeededError(is_deep=True) from error

    def scoped(self, scope: Scope) -> Prover:
        """What tries plans for another scope, with batches that fit that one."""
        if scope is self._blueprint.scope:
            return self
        if scope not in self._others:
            self._others[scope] = Prover(
                self._model, dataclasses.replace(self._blueprint, scope=scope), not_run=self._not_run
            )
        return self._others[scope]

    def try_plan(self, plan: Plan) -> Trial:
        """Inject ``plan``, run the adapted model and say what came of it; the same arguments are tried once.

        Raises:
            UnknownTunerError: the plan's tuner places nothing by module.
        """
        key = json.dumps([plan.tuner, plan.lora], sort_keys=True, default=repr)
        if key not in self._trials:
            self._trials[key] = self._inject(plan)
        return dataclasses.replace(self._trials[key], plan=plan)

    def _inject(self, plan: Plan) -> Trial:
        assert self.baseline  # the model is run without adapters before it gets any
        try:
            trial = self._tried(plan)
        except _NoContentError as error:
            return self._with_numbers(plan) or self._on_small_copy(plan, error)
        if trial.crash is None or trial.ground is Ground.COPY or not self._is_doubtful(trial.crash):
            return trial
        lack = f"on the meta device, which may be the reason, it crashes with {trial.crash}"
        return self._rerun_on_small_copy(
            dataclasses.replace(trial, crash=None, forward="unavailable", ground=None), lack
        )

    def _tried(self, plan: Plan) -> Trial:
        """What comes of ``plan`` on the meta device, told from adapters in some layers where that is certain.

        Raises:
            _NoContentError: the meta device is why PEFT raises.
        """
        stand_ins = self._runner.stand_ins() if is_sparing(plan) else {}
        if not stand_ins:
            return self._injected(plan)
        try:
            return self._injected(plan, stand_ins=stand_ins)
        except _AllNeededError as error:
            return self._injected(plan, depth=_Depth.WHOLE if error.is_deep else _Depth.ANY)

    def _injected(
        self,
        plan: Plan,
        values: AbstractContextManager[None] | None = None,
        *,
        stand_ins: Mapping[str, str] = _NONE,
        depth: _Depth = _Depth.ANY,
    ) -> Trial:
        """What comes of ``plan`` on the meta device.

        Args:
            plan: what PEFT is given.
            values: holds while PEFT places the adapters.
            stand_ins: layers that get no adapters where those that stand in for them tell all that there is to.
            depth: the layers that are run, where all have their adapters.

        Raises:
            _NoContentError: the meta device is why PEFT raises.
            _AllNeededError: with ``stand_ins`` alone: they do not tell it all.
        """
        import torch
        from peft import get_peft_model

        config: Any = None
        refusal = head = None
        adapted: tuple[str, ...] = ()
        saved: tuple[str, ...] = ()
        silent: dict[str, Mute] = {}
        trainable = 0
        file = AdapterFile()
        run: Run | None = None
        lack = ""
        with restored(self._model):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                meta = torch.device("meta")
                sparing = Sparing(stand_ins, caught)
                try:
                    config = config_of(plan)
                    making = sparing.at_work() if is_sparing(plan) else meta
                    with making, values or contextlib.nullcontext(), initialisations(on_meta=self._is_meta):
                        # with low_cpu_mem_usage copies that are to share a weight get one each
                        injected = get_peft_model(self._model, config, low_cpu_mem_usage=not self._is_meta)
                    tuner = injected.base_model
                    refusal = out_of_bounds(self._model)
                    adapters = Adapters(self._model, tuner.tuner_layer_cls)
                    if refusal is None:
                        head = refused_head(self._model)
                        adapted = self._sites_of(tuner, plan)
                        saved = self._sites(adapters.saved(), plan)
                        silent = self._muted(adapters, plan)
                        trainable = sum(part.numel() for part in injected.parameters() if part.requires_grad)
                        trainable += sparing.trainable()
                        with meta:
                            file = adapter_file(injected) if plan.name == USER else file
                except UnknownTunerError:
                    raise
                except Exception as error:  # whatever PEFT raises is the result
                    if stand_ins:
                        raise _AllNeededError from error
                    if lacks_content(error):
                        raise _NoContentError(error, config) from error
                    refusal = Refusal(
                        type(error).__name__, settled(str(error)), self._culprit(error.__traceback__, plan)
                    )
            if stand_ins and (refusal is not None or silent or not self._runner.is_even((*adapted, *saved))):
                raise _AllNeededError
            if refusal is None and (inputs := own_inputs(tuner)):
                lack = f"{plan.tuner} takes {', '.join(inputs)} in training, and no batch holds that"
            elif refusal is None:
                run = self._run(plan, adapters, adapted, saved, _Depth.CUT if stand_ins else depth)
        effective = _effective(config, plan)
        notices = (
            settled(" ".join(str(notice.message).split()))
            for notice in caught
            if not issubclass(notice.category, (FutureWarning, DeprecationWarning))  # of no plan's doing
        )
        return Trial(
            plan=plan,
            raised=refusal,
            adapted=adapted,
            saved=saved,
            reached=self._reached(config, plan) if refusal else adapted,
            entries=self._entries(plan, effective),
            rewritten=_rewritten(plan, effective),
            notices=tuple(dict.fromkeys(notices)),
            coverage=self._blueprint.coverage(adapted),
            outside=len(self._blueprint.outside(adapted)),
            trainable=trainable,
            size=file.size,
            carried={site: file.carried[name] for name in file.carried if (site := self._site(name, plan)) is not None},
            muted=silent,
            head=head,
            not_run=lack,
            **_outcome(run, adapted, saved, self.baseline.ground),
        )

    def _entries(self, plan: Plan, effective: Mapping[str, Any]) -> tuple[Entry, ...]:
        given = {**plan.lora, **effective} if plan.is_default else plan.lora
        return tuple(entries(given, self._names, self._parameters))

    def _with_numbers(self, plan: Plan) -> Trial | None:
        """What comes of ``plan`` where numbers that PEFT asks of tensors are made up; ``None`` where that is no help.

        That PEFT then places the adapters is taken as it is. A refusal must be one of the site alone as well.
        """
        try:
            with deadline(MAX_SECONDS, TooSlowError):
                trial = self._injected(plan, numbers_made_up())
            if trial.raised is not None:
                alone = {**plan.lora, "target_modules": [trial.raised.at], "exclude_modules": None}
                again = self._injected(dataclasses.replace(plan, lora=alone)).raised
                if trial.raised.at is None or again is None or again.at != trial.raised.at:
                    return None
        except (_NoContentError, TooSlowError):
            return None
        return trial

    def _on_small_copy(self, plan: Plan, error: _NoContentError) -> Trial:
        """What is known of ``plan`` where PEFT can place its adapters on real weights only."""
        adapted = self._sites(self._reached(error.config, plan), plan)
        effective = _effective(error.config, plan)
        found = self._entries(plan, effective)
        trial = Trial(
            plan=plan,
            adapted=adapted,
            saved=tuple(path for e in found if e.setting == "modules_to_save" for path in self._sites(e.reaches, plan)),
            reached=adapted,
            entries=found,
            rewritten=_rewritten(plan, effective),
            coverage=self._blueprint.coverage(adapted),
            outside=len(self._blueprint.outside(adapted)),
            trainable=None,
            size=None,
        )
        return self._rerun_on_small_copy(trial, str(error))

    def _rerun_on_small_copy(self, trial: Trial, lack: str) -> Trial:
        """``trial`` with what a run of the small copy tells, and else with the reason why nothing was run."""
        run = None
        if trial.adapted and self._small is not None:
            run = self._small.run(trial.plan, trial.adapted, trial.saved)
        if run is None:
            return dataclasses.replace(trial, not_run=lack)
        return dataclasses.replace(trial, **_outcome(run, trial.adapted, trial.saved, Ground.COPY))

    def _is_doubtful(self, crash: Crash) -> bool:
        """Whether a crash on the meta device may not be one of the model with weights."""
        site = self._blueprint.by_path.get(crash.at) if crash.at is not None else None
        return "meta" in crash.message.lower() or (site is not None and site.kind in _PLAIN)

    def try_plans(self, plans: Iterable[Plan]) -> tuple[Trial, ...]:
        """:meth:`try_plan` for each of ``plans``."""
        return tuple(map(self.try_plan, plans))

    def _sites_of(self, tuner: Any, plan: Plan) -> tuple[str, ...]:
        return self._sites([*tuner.targeted_module_names, *getattr(tuner, "targeted_parameter_names", ())], plan)

    def _sites(self, names: Iterable[str], plan: Plan) -> tuple[str, ...]:
        return tuple(dict.fromkeys(site for name in names if (site := self._site(name, plan)) is not None))

    def _site(self, name: str, plan: Plan) -> str | None:
        """The site that a module or parameter belongs to: a Linear's ``weight`` is no site of its own.

        A layer that PEFT replicated shares its weights with the one that it was copied from, and counts as that.
        """
        name = name.removeprefix(".")  # PEFT's name for a parameter of the top module
        if plan.lora.get("layer_replication"):
            name = self._original(name, plan.lora["layer_replication"])
        found = name if name in self._blueprint.by_path else name.rpartition(".")[0]
        return found if found in self._blueprint.by_path else None

    def _original(self, name: str, ranges: Iterable[tuple[int, int]]) -> str:
        """What a module of the changed model was called before PEFT put copies of layers into their list."""
        for path, layers in self._lists.items():
            if name.startswith(f"{path}.") and self._model.get_submodule(path) is not layers:
                index, _, rest = name.removeprefix(f"{path}.").partition(".")
                originals = [number for start, end in ranges for number in range(start, end)]
                return f"{path}.{originals[int(index)]}.{rest}".rstrip(".")
        return name

    def _muted(self, adapters: Adapters, plan: Plan) -> dict[str, Mute]:
        found = ((self._site(name, plan), muted(layer)) for name, layer in adapters.layers().items())
        return {site: why for site, why in found if site is not None and why is not None}

    def _reached(self, config: Any, plan: Plan) -> tuple[str, ...]:
        if config is None:
            return ()
        if plan.says_all and not isinstance(config.target_modules, str):
            targets = set(config.target_modules or ())  # full paths by now, unless PEFT made names of them
            if targets <= set(self._names):
                return tuple(name for name in self._names if name in targets)
        return reached(config, self._names)

    def _culprit(self, trace: TracebackType | None, plan: Plan) -> str | None:
        """The site that PEFT was dealing with when it raised."""
        frames = [frame for frame, _ in traceback.walk_tb(trace)]
        if not any(frame.f_code.co_name in _PLACING for frame in frames):
            return None
        for frame in reversed(frames):
            if frame.f_code.co_name in ("inject_adapter", "create_and_replace_param"):
                key = frame.f_locals.get("key")
                return self._site(key, plan) if isinstance(key, str) else None
        return None


def _outcome(run: Run | None, adapted: Iterable[str], saved: Iterable[str], ground: Ground | None) -> dict[str, Any]:
    """The fields of a trial that a run fills."""
    if run is None:
        return {}
    return {
        "forward": "crashed" if run.crash else "ok",
        "crash": run.crash,
        "dead": tuple(path for path in adapted if path in run.dead),
        "saved_dead": tuple(path for path in saved if path in run.dead),
        "ground": ground,
    }


def _effective(config: Any, plan: Plan) -> dict[str, Any]:
    """The targets that PEFT worked with in the end."""
    if config is None:
        return {}
    settings = {key: getattr(config, key, None) for key in ("target_modules", "target_parameters")}
    return {
        key: value if isinstance(value, str) else sorted(value, key=str)
        for key, value in settings.items()
        if isinstance(value, Collection)
    }


def _rewritten(plan: Plan, effective: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Settings that PEFT exchanged: the names of separate experts for parameters of fused ones."""
    before = plan.lora.get("target_parameters") or ()
    given = set(map(str, before if isinstance(before, Collection) else [before]))  # a stranger's may be anything
    parameters = set(map(str, effective.get("target_parameters") or ()))
    if parameters <= given:
        return {}
    return {key: tuple([value] if isinstance(value, str) else value) for key, value in effective.items()}
