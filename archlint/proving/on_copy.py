"""Trials on a small real copy, for models whose training step does not run on the meta device."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any, TypeVar

import torch
from torch import nn

from archlint.core.blueprint import Blueprint, Trait
from archlint.core.folding import without_indices
from archlint.core.trial import Baseline, Ground, Plan
from archlint.deadline import deadline
from archlint.proving.gradients import Adapters, in_base
from archlint.proving.initialisations import initialisations
from archlint.proving.places import Places, in_model, places
from archlint.proving.tuners import config_of
from archlint.running import (
    MAX_SECONDS,
    Batch,
    NoLossError,
    NoSmallCopyError,
    Run,
    TooSlowError,
    Use,
    batches,
    crash_of,
    idle_parts,
    one_thread,
    restored,
    small_copy,
    step,
    watched,
)

T = TypeVar("T")


class Copy:
    """A small copy of a model; what happens to it is told by the paths of the model.

    Sites of the model and of the copy are the same where their paths are, less the indices of layers.

    Raises:
        NoSmallCopyError: there is no copy that can be run.
    """

    def __init__(self, model: nn.Module, blueprint: Blueprint) -> None:
        making = partial(batches, blueprint=blueprint)
        self._blueprint = blueprint
        try:
            with deadline(MAX_SECONDS, TooSlowError), _by_itself():
                self._model = small_copy(model, making)
                self._batch, use = next(filter(None, map(self._trained, making(self._model))))
        except (StopIteration, TooSlowError) as error:
            raise NoSmallCopyError("no batch trains it") from error
        used = places(path for path, module in self._model.named_modules() if id(module) in use.called)
        called = (path for path, _ in model.named_modules() if without_indices(path) in used)
        self.baseline = Baseline(
            ground=Ground.COPY, inputs=tuple(self._batch.inputs), idle=tuple(idle_parts(model, called))
        )

    def _trained(self, batch: Batch) -> tuple[Batch, Use] | None:
        """``batch``, and what the copy uses in a training step on it; ``None`` where it raises."""
        try:
            with restored(self._model), watched() as use:
                step(self._model, batch, "cpu")
        except Exception:  # a model's code raises whatever its inputs lead it to
            return None
        return batch, use

    def observe(self, look: Callable[[nn.Module, Batch], T]) -> T:
        """What ``look`` finds in the copy, which it is given in training mode, with a batch; it may change it."""
        with deadline(MAX_SECONDS, TooSlowError), restored(self._model), _by_itself():
            self._model.train()
            return look(self._model, self._batch)

    def run(self, plan: Plan, adapted: Collection[str], saved: Collection[str] = ()) -> Run | None:
        """One training step with the adapters of ``plan``; ``None`` where the copy cannot tell.

        Args:
            adapted: paths of the sites that the plan adapts in the model.
            saved: paths of those that it trains in full.
        """
        from peft import get_peft_model

        with restored(self._model), _by_itself(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                with initialisations(on_meta=False):
                    tuner: Any = get_peft_model(self._model, config_of(plan)).base_model
            except Exception:  # PEFT took the plan on the model, and may not on fewer layers
                return None
            adapters = Adapters(self._model, tuner.tuner_layer_cls)
            sites = Places(self._blueprint)
            if sites.of(adapters.names()) != places(adapted):
                return None
            paths = {id(module): in_base(path) for path, module in self._model.named_modules()}
            try:
                with deadline(MAX_SECONDS, TooSlowError), contextlib.suppress(NoLossError):
                    step(self._model, self._batch, "cpu")
            except TooSlowError:
                return None
            except Exception as error:  # as above
                return Run(in_model(crash_of(error, paths), adapted))
            lost = {*adapters.without_gradient(), *adapters.saved_without_gradient()}
        trained = (*adapters.names(), *adapters.saved())
        dead, alive = sites.of(lost), sites.of(name for name in trained if name not in lost)
        experts = places(site.path for site in self._blueprint.select(trait=Trait.EXPERT))
        if (dead & alive) - experts:  # an expert may have got no token
            return None
        return Run(dead=frozenset(path for path in (*adapted, *saved) if without_indices(path) in dead - alive))


@contextlib.contextmanager
def _by_itself() -> Iterator[None]:
    """Within the block random numbers are the same on each call, and the caller's go on as if there were none."""
    with torch.random.fork_rng(devices=[]), one_thread():
        torch.manual_seed(0)
        yield
