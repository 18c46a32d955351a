"""Run a model's training step on the meta device: by itself, and with the adapters that it holds at the moment."""

from __future__ import annotations

import contextlib
import itertools
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn

from archlint.core.blueprint import Blueprint, Role, Scope, is_projection
from archlint.core.trial import Baseline, Crash, Ground, Read
from archlint.deadline import deadline, expire
from archlint.running.batch import Batch, text_batches
from archlint.running.crashes import crash_of
from archlint.running.depth import Cut, Depth
from archlint.running.modal import modal_batches
from archlint.running.on_meta import runnable
from archlint.running.reads import Use, idle_parts, watched
from archlint.running.restore import restored
from archlint.running.step import NoLossError, forward, step, takes_cache
from archlint.survey.source_code import handed_weights, shown_path

T = TypeVar("T")

Dead = Callable[[], Collection[str]]
"""Tells, after a backward pass, which of the adapted sites that the model holds got no gradient."""

MAX_SECONDS = 20.0
"""Of the processor's time: ten times what the largest models take in their full depth."""

_SURE = 2
"""How often a kind of layer has to show the same to be believed."""

_NO_KERNEL = re.compile(r"\bmeta\b|\bfake\b", re.IGNORECASE)
"""What torch says of an operation that the meta device does not know: that is no crash of the model's."""

_MOST_GUESSES = 24
"""Batches with pixels or sounds that are tried."""

_PARTS = frozenset({Role.VISION, Role.AUDIO, Role.PROJECTOR})


class TooSlowError(BaseException):
    """A training step takes longer than any real model's; no code of a model that catches errors may catch it."""

    def __init__(self) -> None:
        super().__init__(f"a training step takes more than {MAX_SECONDS:.0f} s")


@dataclass(frozen=True, slots=True)
class Run:
    """What became of one training step with adapters; without a crash, the paths of those without a gradient."""

    crash: Crash | None = None
    dead: frozenset[str] = frozenset()


class DepthNeededError(Exception):
    """What a run of some layers shows does not tell what all of them would."""


class Runner:
    """Runs one model; it must hold no adapters when this is made.

    Args:
        not_run: why it is not to be run at all, if so.
    """

    def __init__(self, model: nn.Module, blueprint: Blueprint, *, not_run: str = "") -> None:
        self._model = model
        self._blueprint = blueprint
        self._depth = Depth(model)
        self._paths = {id(module): path for path, module in model.named_modules()}
        self._batch: Batch | None = None
        self._cut = Cut.NONE
        self.baseline = Baseline(reason=not_run) if not_run else self._find_baseline()

    def run(self, adapted: Collection[str], dead: Dead) -> Run | None:
        """One training step of the model as it stands; ``None`` where it cannot be run.

        It is run cut short first. A crash there, or an adapter without a gradient, counts only where the full
        depth shows it too, or where it is plain that the depth has no part in it.

        Args:
            adapted: paths of the sites that hold an adapter.
            dead: asked after the backward pass.
        """
        try:
            return self.run_cut(adapted, dead)
        except DepthNeededError:
            return self.run_whole(dead)

    def run_cut(self, adapted: Collection[str], dead: Dead) -> Run | None:
        """:meth:`run` on some layers; those of :meth:`stand_ins` need not hold their adapters.

        Args:
            adapted: paths of the sites that hold an adapter, or would.
            dead: asked after the backward pass.

        Raises:
            DepthNeededError: it takes all layers, with their adapters.
        """
        if self._batch is None:
            return None
        paths = self._paths_with_adapters()
        with self._depth.cut(self._cut, adapted) as is_cut:
            run = self._attempt(self._batch, dead, paths)
        if run is None or not is_cut:
            return run
        if run.crash is None and (certain := self._at_full_depth(run.dead, adapted, dead, paths)) is not None:
            return certain
        raise DepthNeededError

    def run_whole(self, dead: Dead) -> Run | None:
        """One training step of the model as it stands, with all its layers; ``None`` where it cannot be run."""
        if self._batch is None:
            return None
        return self._attempt(self._batch, dead, self._paths_with_adapters())

    def stand_ins(self) -> dict[str, str]:
        """The layers that :meth:`run_cut` takes away, each with one that is like it and stays; both as paths.

        That holds where a plan :meth:`is_even`. Of a model that is not run at all it takes whatever it can.
        """
        if self._batch is None:
            return self._depth.stand_ins(Cut.KINDS)
        return self._depth.stand_ins(self._cut, times=_SURE)

    def is_even(self, adapted: Collection[str]) -> bool:
        """Whether the layers can be cut, and all that are alike hold an adapter in the same places."""
        return self._depth.is_even(adapted)

    def observe(self, look: Callable[[nn.Module, Batch], T]) -> T | None:
        """What ``look`` finds in the model without adapters, as short as it is run; ``None`` where it cannot be run.

        Args:
            look: is given the model in training mode and a batch; it may run it, and change what is put back.
        """
        if self._batch is None:
            return None
        with self._bare(self._cut):
            self._model.train()
            return look(self._model, self._batch)

    def _paths_with_adapters(self) -> Mapping[int, str]:
        """The paths of all modules that the model has without adapters, and of what stands in their places now."""
        known = frozenset(self._paths.values())
        places = {id(module): path for path, module in self._model.named_modules() if path in known}
        return {**places, **self._paths}

    def _at_full_depth(
        self, lost: frozenset[str], adapted: Collection[str], dead: Dead, paths: Mapping[int, str]
    ) -> Run | None:
        """What the full depth would show, where that is plain; ``lost`` is what died in the cut."""
        assert self._batch is not None
        unused = frozenset(self._without_input(adapted))
        if lost <= unused:
            return Run(dead=unused)
        with self._depth.cut(self._cut, adapted, times=_SURE):
            run = self._attempt(self._batch, dead, paths)
        if run is None or run.crash is not None:
            return None
        reached = [path for path in adapted if path not in unused]
        throughout = self._depth.dead_throughout(self._cut, run.dead - unused, reached, times=_SURE)
        return None if throughout is None else Run(dead=unused | throughout)

    def _attempt(self, batch: Batch, dead: Dead, paths: Mapping[int, str]) -> Run | None:
        try:
            with restored(self._model), self._running(), contextlib.suppress(NoLossError):  # then every adapter is dead
                step(self._model, batch, "meta")
            return Run(dead=frozenset(dead()))
        except TooSlowError:
            return None
        except Exception as error:  # a model's code raises whatever its inputs lead it to
            return Run(crash_of(error, paths))
        finally:
            _forget_gradients(self._model)

    def _without_input(self, adapted: Collection[str]) -> Iterator[str]:
        """Those of ``adapted`` in a part of the model, such as a tower, for which the batch has no input."""
        assert self._batch is not None
        roots = tuple(
            f"{path}."
            for path in self.baseline.idle
            if self._blueprint.by_path[path].role in _PARTS - self._batch.roles
            and not any(part.isdigit() for part in path.split("."))
        )
        return (path for path in adapted if f"{path}.".startswith(roots or "\0"))

    def _find_baseline(self) -> Baseline:
        if not all(parameter.is_meta for parameter in self._model.parameters()):
            return Baseline(reason="its weights are loaded and cannot be left out, as those of quantized layers cannot")
        raised: list[Crash] = []
        until = time.thread_time() + 2 * MAX_SECONDS
        for batch in batches(self._model, self._blueprint):
            if time.thread_time() > until:
                expire()
                break
            for cut in self._depth.cuts():
                use = self._watch(batch, cut)
                if isinstance(use, Use):
                    self._batch, self._cut = batch, cut
                    return self._described(batch, use)
                raised.append(use)
        if not raised:
            return Baseline(reason="its class takes no input that a batch can be made of")
        return Baseline(reason=str(raised[0]), cache=self._needs_cache())

    def _needs_cache(self) -> Crash | None:
        """The crash of the plainest batch at full depth, where the model runs with a cache of keys and values."""
        plainest = next(batches(self._model, self._blueprint))
        crash = self._watch(plainest, Cut.NONE)
        if not isinstance(crash, Crash) or crash.type == "NotImplementedError" or _NO_KERNEL.search(crash.message):
            return None
        return crash if isinstance(self._watch(plainest, Cut.NONE, cache=True), Use) else None

    def _watch(self, batch: Batch, cut: Cut, *, cache: bool = False) -> Use | Crash:
        """One training step without adapters: what it uses, or its crash."""
        try:
            with self._bare(cut), watched() as use:
                step(self._model, batch, "meta", cache=cache)
            return use
        except (Exception, TooSlowError) as error:  # as above
            return crash_of(error, self._paths)
        finally:
            _forget_gradients(self._model)

    @contextlib.contextmanager
    def _running(self) -> Iterator[None]:
        """Within the block the model, as cut as it is, can be run."""
        with runnable(self._model), deadline(MAX_SECONDS, TooSlowError):
            yield

    @contextlib.contextmanager
    def _bare(self, cut: Cut, *, times: int = 1) -> Iterator[None]:
        """The same, for a model without adapters that is trained in full."""
        with self._depth.cut(cut, times=times), restored(self._model):
            for parameter in self._model.parameters():
                parameter.requires_grad_(parameter.is_floating_point())
            with self._running():
                yield

    def _described(self, batch: Batch, use: Use) -> Baseline:
        reads = tuple(dict.fromkeys(self._reads(use)))  # layers that are alike read alike
        past = {read.path for read in reads if read.only is None}
        without_extra = self._demanded_in_training(batch)
        return Baseline(
            ground=Ground.META,
            inputs=tuple(batch.inputs),
            extra=batch.extra if without_extra else (),
            without_extra=without_extra,
            idle=tuple(path for path in self._idle(batch, use) if path not in past),
            reads=reads,
            cached=tuple(sorted(self._called_without_cache(batch))),
        )

    def _demanded_in_training(self, batch: Batch) -> Crash | None:
        """What training without the extra inputs of ``batch`` raises, where evaluation does without them."""
        if not batch.extra:
            return None
        crash = self._watch(batch.plain(), self._cut)
        try:
            with self._bare(self._cut):
                self._model.eval()
                forward(self._model, batch.plain(), "meta")
        except (Exception, TooSlowError):  # as above
            return None
        return crash if isinstance(crash, Crash) else None

    def _called_without_cache(self, batch: Batch) -> Iterator[str]:
        """Modules that are called only where there is no cache of keys and values, as far as two of a kind show it."""
        if not takes_cache(self._model):
            return
        try:
            called = [self._calls(batch, self._cut, cache=cache) for cache in (False, True)]
        except (Exception, TooSlowError):  # as above: with a cache, which training does not use
            return
        for identity in called[0] - called[1]:
            if (path := self._paths.get(identity)) is not None:
                yield path

    def _calls(self, batch: Batch, cut: Cut, *, cache: bool) -> Set[int]:
        """The modules that a forward pass calls."""
        with self._bare(cut, times=_SURE), watched() as use, torch.no_grad():
            self._model.train()
            forward(self._model, batch, "meta", cache=cache)
        return use.called

    def _idle(self, batch: Batch, use: Use) -> list[str]:
        """The unused parts; where some are parts of layers, as the full depth shows them."""
        idle = list(idle_parts(self._model, self._called(use)))
        if self._cut is Cut.NONE or not any(part.isdigit() for path in idle for part in path.split(".")):
            return idle
        try:
            called = self._calls(batch, Cut.NONE, cache=False)
        except (Exception, TooSlowError):  # as above
            return idle
        return list(idle_parts(self._model, (path for identity, path in self._paths.items() if identity in called)))

    def _called(self, use: Use) -> Iterator[str]:
        for identity in use.called:
            if (path := self._paths.get(identity)) is not None:
                yield from self._depth.alike(path)

    def _reads(self, use: Use) -> Iterator[Read]:
        for identity, (file, line) in use.read.items():
            if identity not in use.called and (path := self._paths.get(identity)) is not None:
                for alike in self._depth.alike(path):
                    yield Read(alike, shown_path(file), line)
        yield from self._handed_over(use)

    def _handed_over(self, use: Use) -> Iterator[Read]:
        """Weights of modules that were called, which code also hands to a function, such as a fused kernel."""
        for path, module in self._model.named_modules():
            cls: type = type(module)
            for name, handed in handed_weights(cls).items():
                child = f"{path}.{name}" if path else name
                site = self._blueprint.by_path.get(child)
                if site is None or not is_projection(site) or id(self._model.get_submodule(child)) not in use.called:
                    continue
                for alike in self._depth.alike(child):
                    yield Read(alike, shown_path(handed.file), handed.line, only=handed.to)


def batches(model: nn.Module, blueprint: Blueprint) -> Iterator[Batch]:
    """Batches for the scope of ``blueprint``, the plainest first.

    Text is tried by itself; a class that cannot do without pixels or sounds gets them as well.
    """
    there = [role for role in (Role.VISION, Role.AUDIO) if any(site.role is role for site in blueprint.sites)]
    if blueprint.scope is Scope.TEXT or not there:
        yield from text_batches(model)
    wanted = [role for role in there if blueprint.scope.covers(role)] or there
    yield from itertools.islice(modal_batches(model, wanted), _MOST_GUESSES)


def _forget_gradients(model: nn.Module) -> None:
    for parameter in model.parameters():
        parameter.grad = None
