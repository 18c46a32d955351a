"""A model that is built and surveyed, and what is found out on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archlint.core.blueprint import Blueprint, Kind, ModelInfo, Operation, Scope, is_projection
from archlint.core.report import Unchecked
from archlint.core.training import Trained, Training
from archlint.core.trial import Trial

if TYPE_CHECKING:
    from torch import nn

    from archlint.core.checkpoint import AdapterWeights
    from archlint.identity import Located
    from archlint.options import Options
    from archlint.proving import Prover
    from archlint.published import PublishedAdapter
    from archlint.skeleton import Skeleton


class NotBuiltError(Exception):
    """There is no model to look at; the message is one line that says why.

    Attributes:
        is_lasting: whether it would be so again, with the same packages installed.
    """

    is_lasting = True


class CodeNotRunError(NotBuiltError):
    """The architecture exists only as code of the repository, which was not allowed to run."""


@dataclass(frozen=True)
class Subject:
    """A model on the meta device, and what tries plans on it."""

    blueprint: Blueprint
    """Without trials."""
    prover: Prover
    notes: tuple[str, ...] = ()
    """What the reader should know of where it is from."""

    @property
    def model(self) -> nn.Module:
        return self.prover.model

    def training(self) -> Training:
        """What any trainer makes of the model."""
        from archlint.training import ask

        return ask(self.prover)

    def operations(self) -> tuple[Operation, ...]:
        """What can be done about the model's wrappers."""
        from archlint.surgery import wrappers

        if not self.blueprint.select(Kind.WRAPPER):
            return ()
        return tuple(option.operation for option in wrappers.options(self.model, self.blueprint, self.prover))

    def trained(self, trial: Trial, arguments: Mapping[str, Any]) -> Trained:
        """What came of real steps of the installed SFTTrainer on a small copy, with the plan of ``trial``."""
        from archlint.proving.real_training import train

        return train(self.model, self.blueprint, trial, arguments)

    def weights(self, adapter: PublishedAdapter) -> AdapterWeights:
        """What becomes of the weights of ``adapter``.

        Raises:
            archlint.proving.loading.NotLoadableError: it cannot be told.
        """
        from archlint.proving.loading import load

        assert adapter.shapes is not None  # the caller looked
        return load(self.model, adapter.settings, adapter.shapes, adapter.file)


def built(located: Located, options: Options) -> Subject:
    """The model of a source; of an adapter in the class, and with the head, that it was trained on.

    Raises:
        CodeNotRunError: only the repository's own code has the architecture, and it may not run.
        NotBuiltError: the model cannot be built.
    """
    from archlint import published
    from archlint.skeleton import SkeletonError, build
    from archlint.skeleton.build import CustomCodeError
    from archlint.skeleton.classes import class_for_task

    config, class_name = dict(located.config), options.source.class_name
    if located.adapter is not None:
        class_name = class_name or class_for_task(config, located.adapter.task)
        config = config if class_name is None else located.adapter.with_head(config)
    elif options.rewards:
        class_name = class_name or class_for_task(config, "SEQ_CLS")
        config = published.with_labels(config, 1)  # as the trainer loads it
    options.progress("building the model on the meta device")
    try:
        skeleton = build(
            config,
            class_name=class_name,
            code=located.source.folder,
            trust_remote_code=options.source.trust_remote_code,
        )
    except CustomCodeError as error:
        raise CodeNotRunError(str(error)) from error
    except SkeletonError as error:
        failed = NotBuiltError(str(error))
        failed.is_lasting = not isinstance(error.__cause__, (OSError, MemoryError))
        raise failed from error
    return surveyed(skeleton, located.info, options)


def live(model: nn.Module, options: Options) -> Subject:
    """A model in memory, whose weights are left out.

    Raises:
        NotBuiltError: it is not ready to be looked at.
    """
    from archlint.skeleton import Skeleton
    from archlint.survey import LiveModelError, plain_model, without_weights

    try:
        model = plain_model(model)
    except LiveModelError as error:
        raise NotBuiltError(str(error)) from error
    name = str(getattr(model, "name_or_path", "") or type(model).__name__)
    info = ModelInfo(id=name, origin="object", class_name="", model_type="", parameters=0, modules=0)
    return surveyed(Skeleton(without_weights(model)), info, options)


def surveyed(skeleton: Skeleton, info: ModelInfo, options: Options) -> Subject:
    """The model of ``skeleton`` with its census."""
    from archlint.proving import Prover
    from archlint.survey import survey

    options.progress("taking the census")
    blueprint = survey(skeleton, info, options.scope)
    return Subject(blueprint, Prover(skeleton.model, blueprint))


def missing_part(blueprint: Blueprint) -> Unchecked | None:
    """What keeps a model from being judged: silence about nothing would read as clean."""
    model, scope = blueprint.model, blueprint.scope
    if not model.parameters:
        return Unchecked("the model", f"{model.class_name} has no parameters")
    if blueprint.projections or scope is Scope.ALL:
        return None
    there = dict.fromkeys(site.role.value for site in blueprint.sites if is_projection(site))
    return Unchecked(f"the scope {scope.value}", f"the model has no {scope.value} part; it has {', '.join(there)}")
