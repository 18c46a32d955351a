"""Models that are built and surveyed in this process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from archlint.core.blueprint import Blueprint, Kind, ModelInfo, Operation, Scope
from archlint.core.training import Trained, Training
from archlint.core.trial import Baseline, Plan, Trial
from archlint.options import Options
from archlint.subject import Bench, CodeNotRunError, NotBuiltError, NotVerifiableError, Subject
from archlint.versions import environment

if TYPE_CHECKING:
    from torch import nn

    from archlint.core.checkpoint import AdapterWeights
    from archlint.core.surgery import Step, Way
    from archlint.identity import Located
    from archlint.proving import Prover
    from archlint.published import PublishedAdapter
    from archlint.skeleton import Skeleton
    from archlint.surgery.option import Option
    from archlint.surgery.patch import Patch


@dataclass
class Held(Subject):
    """A model on the meta device of this process, and what tries plans on it."""

    blueprint: Blueprint
    prover: Prover
    notes: tuple[str, ...] = ()

    @property
    def model(self) -> nn.Module:
        return self.prover.model

    def baseline(self, scope: Scope) -> Baseline:
        return self.prover.scoped(scope).baseline

    def try_plan(self, plan: Plan, scope: Scope) -> Trial:
        return self.prover.scoped(scope).try_plan(plan)

    def weights(self, adapter: PublishedAdapter) -> AdapterWeights:
        from archlint.proving.loading import load

        assert adapter.shapes is not None  # the caller looked
        return load(self.model, adapter.settings, adapter.shapes, adapter.file)


class Built(Held, Bench):
    """One that can be run."""

    @cached_property
    def _options(self) -> list[Option]:
        from archlint.surgery.options import options

        return options(self.prover, self.blueprint)

    def training(self) -> Training:
        from archlint.training import ask

        return ask(self.prover)

    def operations(self) -> tuple[Operation, ...]:
        from archlint.surgery import wrappers

        if not self.blueprint.select(Kind.WRAPPER):
            return ()
        return tuple(option.operation for option in wrappers.options(self.model, self.blueprint, self.prover))

    def trained(self, trial: Trial, arguments: Mapping[str, Any]) -> Trained:
        from archlint.proving.real_training import train

        return train(self.model, self.blueprint, trial, arguments)

    def surgeries(self) -> tuple[Operation, ...]:
        return tuple(option.operation for option in self._options)

    def patch(self, way: Way | None = None) -> Patch | None:
        from archlint.surgery.options import best, of_way
        from archlint.surgery.writing import written

        way = way or best(self._options)
        if way is None or not (chosen := of_way(self._options, way)):
            return None
        versions = environment()
        used = {"torch": versions.torch, "transformers": versions.transformers, "peft": versions.peft}
        return written(chosen, self.blueprint.model, used)

    def verify(self, patch: Patch) -> list[Step]:
        from archlint.running import NoSmallCopyError
        from archlint.surgery.verifying import verify

        def made(model: nn.Module) -> Patch | None:
            """archlint's own patch of the same way for another model."""
            return None if patch.way is None else live(model, Options(prove=False)).patch(patch.way)

        try:
            return list(verify(self.model, self.blueprint, patch, made))
        except NoSmallCopyError as error:
            raise NotVerifiableError(str(error)) from error


def built(located: Located, options: Options) -> Built:
    """The model of a source; of an adapter in the class, and with the head, that it was trained on.

    Raises:
        CodeNotRunError: only the repository's own code has the architecture, and it may not run.
        NotBuiltError: the model cannot be built.
    """
    from archlint.skeleton import SkeletonError, build
    from archlint.skeleton.build import CustomCodeError

    config, class_name = wanted(located, options)
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


def wanted(located: Located, options: Options) -> tuple[dict[str, Any], str | None]:
    """The configuration to build, and the class where it is not the config's own choice."""
    from archlint import published
    from archlint.skeleton.classes import class_for_task

    config, class_name = dict(located.config), options.source.class_name
    if located.adapter is not None:
        class_name = class_name or class_for_task(config, located.adapter.task)
        config = config if class_name is None else located.adapter.with_head(config)
    elif options.rewards:
        class_name = class_name or class_for_task(config, "SEQ_CLS")
        config = published.with_labels(config, 1)  # as the trainer loads it
    return config, class_name


def live(model: nn.Module, options: Options) -> Built:
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


def surveyed(skeleton: Skeleton, info: ModelInfo, options: Options) -> Built:
    """The model of ``skeleton`` with its census."""
    from archlint.proving import Prover
    from archlint.survey import survey

    options.progress("taking the census")
    blueprint = survey(skeleton, info, options.scope)
    return Built(blueprint, Prover(skeleton.model, blueprint))
