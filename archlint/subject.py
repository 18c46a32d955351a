"""A model that questions can be asked of, wherever it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from archlint.core.blueprint import Blueprint, Operation, Scope, is_projection
from archlint.core.custom_code import Conduct
from archlint.core.report import Unchecked
from archlint.core.training import Trained, Training
from archlint.core.trial import Baseline, Plan, Trial

if TYPE_CHECKING:
    from archlint.core.checkpoint import AdapterWeights
    from archlint.core.surgery import Step, Way
    from archlint.published import PublishedAdapter
    from archlint.surgery.patch import Patch


class NotBuiltError(Exception):
    """There is no model to look at; the message is one line that says why.

    Attributes:
        is_lasting: whether it would be so again, with the same packages installed.
        conduct: how the repository's own code behaved, where some was run.
    """

    is_lasting = True
    conduct: Conduct | None = None


class CodeNotRunError(NotBuiltError):
    """The architecture exists only as code of the repository, which was not allowed to run."""


class NotVerifiableError(Exception):
    """A patch cannot be tried from end to end on this model; the message says why."""


class Subject(ABC):
    """A model, and what tries plans on it.

    Attributes:
        blueprint: what it is, without trials.
        notes: what the reader should know of where it is from.
        files: those that its classes are made from, as another process imported them; ``None`` where that cannot be
            told.
    """

    blueprint: Blueprint
    notes: tuple[str, ...] = ()
    files: tuple[str, ...] | None = ()

    @abstractmethod
    def baseline(self, scope: Scope) -> Baseline:
        """What the model does in training without adapters, on batches that fit ``scope``."""

    @abstractmethod
    def try_plan(self, plan: Plan, scope: Scope) -> Trial:
        """What came of ``plan``, on batches that fit ``scope``.

        Raises:
            UnknownTunerError: the plan's tuner places nothing by module.
        """

    @abstractmethod
    def training(self) -> Training:
        """What any trainer makes of the model."""

    @abstractmethod
    def operations(self) -> tuple[Operation, ...]:
        """What can be done about the model's wrappers, as :meth:`Bench.surgeries` has it."""

    @abstractmethod
    def trained(self, trial: Trial, arguments: Mapping[str, Any]) -> Trained:
        """What came of real steps of the installed SFTTrainer on a small copy, with the plan of ``trial``."""

    @abstractmethod
    def weights(self, adapter: PublishedAdapter) -> AdapterWeights:
        """What becomes of the weights of ``adapter``.

        Raises:
            archlint.proving.loading.NotLoadableError: it cannot be told.
        """

    def conduct(self) -> Conduct | None:
        """How the repository's own code behaved so far; ``None`` where none was run."""
        return None

    def close(self) -> None:  # noqa: B027 (most hold nothing)
        """Give up what it holds; nothing is asked of it afterwards."""


class Bench(Subject):
    """A model that patches can be made for and tried on."""

    @abstractmethod
    def surgeries(self) -> tuple[Operation, ...]:
        """Every way for every class of module that it is for, measured."""

    @abstractmethod
    def patch(self, way: Way | None = None) -> Patch | None:
        """The file of ``way``, or of the best one; ``None`` where the model has nothing that it is for."""

    @abstractmethod
    def verify(self, patch: Patch) -> list[Step]:
        """The trial of ``patch`` on a small copy of the model; the first step that fails is the last.

        Raises:
            PatchError: it does not fit the model.
            NotVerifiableError: there is no small copy that can be run.
        """


def missing_part(blueprint: Blueprint) -> Unchecked | None:
    """What keeps a model from being judged: silence about nothing would read as clean."""
    model, scope = blueprint.model, blueprint.scope
    if not model.parameters:
        return Unchecked("the model", f"{model.class_name} has no parameters")
    if blueprint.projections or scope is Scope.ALL:
        return None
    there = dict.fromkeys(site.role.value for site in blueprint.sites if is_projection(site))
    return Unchecked(f"the scope {scope.value}", f"the model has no {scope.value} part; it has {', '.join(there)}")
