"""Run plans through PEFT on one skeleton, which is given back unchanged after each."""

from __future__ import annotations

import dataclasses
import json
import re
import traceback
import warnings
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from types import TracebackType
from typing import Any

from torch import nn

from archlint.core.blueprint import Blueprint, Scope
from archlint.core.trial import Baseline, Ground, Plan, Refusal, Trial
from archlint.proving.gradients import Adapters
from archlint.proving.matching import entries, reached
from archlint.proving.on_copy import Copy
from archlint.running import NoSmallCopyError, Run, Runner, restored

_FROM_WEIGHTS = re.compile(r"(pissa)(_niter_\d+)?|(corda|loftq|lora_ga)|((?i:olora|mica))")
"""Values of ``init_lora_weights`` that compute with the model's weights and may change them."""

_PLACING = frozenset({"_create_and_replace", "_check_target_module_compatiblity", "create_and_replace_param"})
"""PEFT's functions that deal with one site; an exception that passes through them is about that site."""


class Prover:
    """Tries plans on the model of a blueprint."""

    def __init__(self, model: nn.Module, blueprint: Blueprint) -> None:
        self._model = model
        self._blueprint = blueprint
        self._names = [name for name, _ in model.named_modules()]
        self._parameters = [name for name, _ in model.named_parameters()]
        self._lists = {name: part for name, part in model.named_modules() if isinstance(part, nn.ModuleList)}
        self._trials: dict[str, Trial] = {}
        self._others: dict[Scope, Prover] = {}

    @cached_property
    def _runner(self) -> Runner:
        return Runner(self._model, self._blueprint)

    @cached_property
    def _copy(self) -> Copy | None:
        """A small copy, where the model itself cannot be run."""
        if self._runner.baseline.ground is not None:
            return None
        try:
            return Copy(self._model, self._blueprint)
        except NoSmallCopyError:
            return None

    @property
    def baseline(self) -> Baseline:
        """What the model does in training without adapters."""
        return self._runner.baseline if self._copy is None else self._copy.baseline

    def _run(self, plan: Plan, adapted: Collection[str]) -> Run | None:
        if self._copy is not None:
            # PEFT names the parameters that it adapts by their weight, and a Linear's is no site of its own
            return self._copy.run(_arguments(plan.lora), adapted)
        adapters = Adapters(self._model)
        return self._runner.run(adapted, lambda: self._sites(adapters.without_gradient(), plan))

    def scoped(self, scope: Scope) -> Prover:
        """What tries plans for another scope, with batches that fit that one."""
        if scope is self._blueprint.scope:
            return self
        if scope not in self._others:
            self._others[scope] = Prover(self._model, dataclasses.replace(self._blueprint, scope=scope))
        return self._others[scope]

    def try_plan(self, plan: Plan) -> Trial:
        """Inject ``plan``, run the adapted model and say what came of it; the same arguments are tried once."""
        key = json.dumps(plan.lora, sort_keys=True, default=repr)
        if key not in self._trials:
            self._trials[key] = self._inject(plan)
        return dataclasses.replace(self._trials[key], plan=plan)

    def _inject(self, plan: Plan) -> Trial:
        import torch
        from peft import LoraConfig, get_peft_model

        config: Any = None
        refusal = None
        adapted: tuple[str, ...] = ()
        saved: tuple[str, ...] = ()
        trainable = 0
        run: Run | None = None
        assert self.baseline  # the model is run without adapters before it gets any
        with restored(self._model):
            with warnings.catch_warnings(record=True) as caught, torch.device("meta"):
                warnings.simplefilter("always")
                try:
                    config = LoraConfig(**_arguments(plan.lora))
                    injected = get_peft_model(self._model, config, low_cpu_mem_usage=True)
                    adapted = self._sites_of(injected.base_model, plan)
                    saved = self._saved(plan)
                    trainable = sum(part.numel() for part in injected.parameters() if part.requires_grad)
                except Exception as error:  # whatever PEFT raises is the result
                    refusal = Refusal(type(error).__name__, str(error), self._culprit(error.__traceback__, plan))
            if refusal is None:
                run = self._run(plan, adapted)
        effective = _effective(config, plan)
        found = tuple(
            entries({**plan.lora, **effective} if plan.is_default else plan.lora, self._names, self._parameters)
        )
        return Trial(
            plan=plan,
            raised=refusal,
            adapted=adapted,
            saved=saved,
            reached=self._reached(config, plan) if refusal else adapted,
            entries=found,
            rewritten=_rewritten(plan, effective),
            notices=tuple(
                dict.fromkeys(
                    " ".join(str(notice.message).split())
                    for notice in caught
                    if not issubclass(notice.category, (FutureWarning, DeprecationWarning))  # of no plan's doing
                )
            ),
            coverage=self._blueprint.coverage(adapted),
            outside=len(self._blueprint.outside(adapted)),
            trainable=trainable,
            **_outcome(run, adapted, self.baseline.ground),
        )

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

    def _saved(self, plan: Plan) -> tuple[str, ...]:
        from peft.utils.other import AuxiliaryTrainingWrapper

        modules = self._model.named_modules()
        names = (name for name, module in modules if isinstance(module, AuxiliaryTrainingWrapper))
        return tuple(dict.fromkeys(site for name in names if (site := self._site(name, plan)) is not None))

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


def _outcome(run: Run | None, adapted: Iterable[str], ground: Ground | None) -> dict[str, Any]:
    """The fields of a trial that a run fills."""
    if run is None:
        return {}
    dead = tuple(path for path in adapted if path in run.dead)
    return {"forward": "crashed" if run.crash else "ok", "crash": run.crash, "dead": dead, "ground": ground}


def _arguments(lora: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments without an initialisation that needs weights or data: it says nothing of where adapters go."""
    from peft.tuners.lora import LoraLayer

    value = lora.get("init_lora_weights")
    known = _FROM_WEIGHTS.fullmatch(value) if isinstance(value, str) else None
    if known is None or not hasattr(LoraLayer, f"{known[1] or known[3] or known[4].lower()}_init"):
        return dict(lora)
    return {key: given for key, given in lora.items() if key != "init_lora_weights"}


def _effective(config: Any, plan: Plan) -> dict[str, Any]:
    """The targets that PEFT worked with in the end."""
    if config is None:
        return {}
    settings = {"target_modules": config.target_modules, "target_parameters": config.target_parameters}
    return {
        key: value if isinstance(value, str) else sorted(value)
        for key, value in settings.items()
        if isinstance(value, Collection)
    }


def _rewritten(plan: Plan, effective: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Settings that PEFT exchanged: the names of separate experts for parameters of fused ones."""
    given = set(plan.lora.get("target_parameters") or ())
    parameters = set(effective.get("target_parameters") or ())
    if parameters <= given:
        return {}
    return {key: tuple([value] if isinstance(value, str) else value) for key, value in effective.items()}
