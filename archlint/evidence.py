"""What is known of a model: found out once, kept, and asked of the model itself where it is not known yet."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

from archlint import deadline
from archlint.core import too_slow
from archlint.core.blueprint import Blueprint, Operation, Scope
from archlint.core.checkpoint import AdapterWeights
from archlint.core.custom_code import Conduct
from archlint.core.serial import read_as, to_json
from archlint.core.training import Trained, Training
from archlint.core.trial import USER, Baseline, Plan, Trial

if TYPE_CHECKING:
    from archlint.plans import PlanFile
    from archlint.published import PublishedAdapter
    from archlint.subject import Subject

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Loaded:
    """What becomes of a published adapter's weights, or why that cannot be told."""

    weights: AdapterWeights | None = None
    lack: str = ""


@dataclass
class Answers:
    """What was found out about one architecture, by question: JSON values, and the objects that they stand for."""

    kept: dict[str, Any] = field(default_factory=dict)
    is_new: bool = False
    """Whether there is more than there was."""
    is_sure: bool = True
    """Whether it would be found again: what was stopped for taking too long may not be."""
    _objects: dict[str, Any] = field(default_factory=dict)

    def answer(self, question: object, kind: Any, find: Callable[[], T]) -> T:
        """The answer to ``question`` (JSON values), an object of the type ``kind``; found where it is not known."""
        key = json.dumps(question, default=repr)
        if key not in self._objects:
            found = read_as(kind, self.kept.get(key))
            if found is None:
                expired = deadline.expired()
                found = find()
                self.kept[key] = to_json(found)
                self.is_new = True
                self.is_sure &= deadline.expired() == expired
            self._objects[key] = found
        return cast(T, self._objects[key])

    def put(self, question: str, value: object) -> None:
        """Keep ``value`` as the answer to ``question``, in place of what was known."""
        self.kept[json.dumps(question)] = to_json(value)
        self._objects[json.dumps(question)] = value


class Evidence:
    """The model of a check, built when something is asked that is not known."""

    def __init__(self, answers: Answers, reach: Callable[[], Subject]) -> None:
        self._answers = answers
        self._to = reach
        self._subject: Subject | None = None
        self.blueprint = answers.answer("blueprint", Blueprint, lambda: self._reach().blueprint)
        """What the model is, without trials."""

    def _reach(self) -> Subject:
        self._subject = self._to()
        return self._subject

    def training(self) -> Training:
        """What any trainer makes of the model."""
        return self._answers.answer("training", Training, lambda: self._reach().training())

    def operations(self) -> tuple[Operation, ...]:
        """What can be done about the model's wrappers."""
        return self._answers.answer("operations", tuple[Operation, ...], lambda: self._reach().operations())

    def trained(self, trial: Trial, arguments: Mapping[str, Any]) -> Trained:
        """What came of real steps of the installed SFTTrainer on a small copy, with the plan of ``trial``."""
        question = ["trained", _asked(trial.plan), dict(arguments)]
        return self._answers.answer(question, Trained, lambda: self._reach().trained(trial, arguments))

    def conduct(self) -> Conduct | None:
        """How the repository's own code behaved, in all that was asked so far; ``None`` where none was run."""
        if self._subject is not None and (conduct := self._subject.conduct()) is not None:
            self._answers.put("conduct", conduct)
            self._answers.is_sure &= not conduct.remarks
        return read_as(Conduct, self._answers.kept.get(json.dumps("conduct")))

    def plan(self, file: PlanFile) -> Plan:
        """What ``file`` asks of PEFT on this model.

        Raises:
            PlanError: its tool would refuse the model.
            PlanTooSlowError: it takes for ever.
        """

        def find() -> Plan:
            with deadline.deadline(too_slow.MAX_SECONDS, too_slow.PlanTooSlowError):
                return file.plan(self.blueprint)

        return self._answers.answer(["plan", file.dialect.name, file.text, file.place], Plan, find)

    def weights(self, adapter: PublishedAdapter) -> Loaded:
        """What becomes of the weights of ``adapter`` on this model."""

        def find() -> Loaded:
            from archlint.proving.loading import NotLoadableError

            try:
                return Loaded(self._reach().weights(adapter))
            except NotLoadableError as error:
                return Loaded(lack=str(error))

        return self._answers.answer(["weights", adapter.settings, adapter.shapes, adapter.file], Loaded, find)

    def judge(self, scope: Scope) -> Trials:
        """What tries plans with batches that fit ``scope``."""
        return Trials(self._answers, self._reach, scope)


@dataclass(frozen=True)
class Trials:
    """What came of plans on a model, and of the model without any."""

    _answers: Answers
    _reach: Callable[[], Subject]
    _scope: Scope

    @property
    def baseline(self) -> Baseline:
        """What the model does in training without adapters."""
        question = ["baseline", self._scope.value]
        return self._answers.answer(question, Baseline, lambda: self._reach().baseline(self._scope))

    def scoped(self, scope: Scope) -> Trials:
        """The same for another scope."""
        return Trials(self._answers, self._reach, scope)

    def try_plan(self, plan: Plan) -> Trial:
        """What came of ``plan``.

        Raises:
            PlanTooSlowError: it is the user's, and takes for ever.
            UnknownTunerError: the plan's tuner places nothing by module.
        """

        def find() -> Trial:
            subject = self._reach()
            if plan.name != USER:
                return subject.try_plan(plan, self._scope)
            with deadline.deadline(too_slow.MAX_SECONDS, too_slow.PlanTooSlowError):
                return subject.try_plan(plan, self._scope)

        trial = self._answers.answer(["trial", self._scope.value, _asked(plan)], Trial, find)
        return dataclasses.replace(trial, plan=plan)

    def try_plans(self, plans: Iterable[Plan]) -> tuple[Trial, ...]:
        """:meth:`try_plan` for each of ``plans``."""
        return tuple(map(self.try_plan, plans))


def _asked(plan: Plan) -> object:
    """All of ``plan`` that its trial depends on: of the user's, more is looked at."""
    return [plan.name == USER, plan.tuner, plan.means_all, sorted(plan.lora.items())]
