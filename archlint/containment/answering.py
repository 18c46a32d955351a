"""The answers of a contained process, from the model that it built. All that it needs is imported with this."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import peft  # noqa: F401
import torch
import transformers  # noqa: F401

from archlint import deadline
from archlint.building import Built, built
from archlint.containment.questions import Made, Question, Wanted, cutting
from archlint.core.blueprint import Scope
from archlint.core.serial import to_json
from archlint.core.surgery import Way
from archlint.core.too_slow import MAX_SECONDS, PlanTooSlowError
from archlint.core.trial import USER, Plan, Trial
from archlint.places import Places
from archlint.proving.loading import NotLoadableError, load
from archlint.proving.tuners import UnknownTunerError
from archlint.subject import NotBuiltError, NotVerifiableError
from archlint.surgery.options import best, of_way, options
from archlint.surgery.patch import Patch, PatchError


class Answering:
    """What answers questions with JSON values; the first one is to build the model."""

    kinds: Mapping[type[BaseException], str] = {
        NotBuiltError: "not-built",
        UnknownTunerError: "unknown-tuner",
        NotLoadableError: "not-loadable",
        NotVerifiableError: "not-verifiable",
        PatchError: "no-patch",
        PlanTooSlowError: "too-slow",
    }
    """What errors are called on the way to archlint."""

    def __init__(self) -> None:
        self._built: Built | None = None
        torch.set_num_threads(1)

    def answer(self, question: Question) -> Any:
        """The answer to ``question``; whatever it raises is told as well."""
        return getattr(self, question.name)(*question.arguments)

    @property
    def _subject(self) -> Built:
        assert self._built is not None  # that was asked for first
        return self._built

    def build(self, wanted: Wanted) -> Any:
        places = Places()
        with places.watched():
            self._built = built(wanted.located, wanted.options)
        states = places.states(self._built.blueprint)
        return to_json(Made(self._built.blueprint, None if states is None else tuple(states)))

    def baseline(self, scope: Scope) -> Any:
        return to_json(self._subject.baseline(scope))

    def try_plan(self, plan: Plan, scope: Scope) -> Any:
        if plan.name != USER:
            return to_json(self._subject.try_plan(plan, scope))
        with deadline.deadline(MAX_SECONDS, PlanTooSlowError):
            return to_json(self._subject.try_plan(plan, scope))

    def training(self) -> Any:
        return to_json(self._subject.training())

    def operations(self) -> Any:
        return to_json(self._subject.operations())

    def trained(self, trial: Trial, arguments: Mapping[str, Any]) -> Any:
        return to_json(self._subject.trained(trial, arguments))

    def weights(self, settings: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], file: str) -> Any:
        return to_json(load(self._subject.model, settings, shapes, file))

    def surgeries(self) -> Any:
        return to_json(self._subject.surgeries())

    def cuttings(self, way: Way | None) -> Any:
        """What the file of ``way``, or of the best one, is made of; nothing where there is none."""
        found = options(self._subject.prover, self._subject.blueprint)
        way = way or best(found)
        chosen = [] if way is None else of_way(found, way)
        return [{**cutting(option), "operation": to_json(option.operation)} for option in chosen]

    def verify(self, text: str, name: str, way: Way | None) -> Any:
        return to_json(self._subject.verify(Patch(text, name, way)))
