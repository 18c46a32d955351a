"""The surgeries of one source: which there are, the file of each, and its trial."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

from archlint import engine
from archlint.core.report import Report
from archlint.core.surgery import Way

if TYPE_CHECKING:
    from torch import nn

    from archlint.core.blueprint import ModelInfo, Operation
    from archlint.core.surgery import Step
    from archlint.subject import Subject
    from archlint.surgery.option import Option
    from archlint.surgery.patch import Patch


class NotVerifiableError(Exception):
    """A patch cannot be tried from end to end on this model; the message says why."""


@dataclass(frozen=True)
class Bench:
    """A model that patches are made for and tried on."""

    subject: Subject

    @property
    def model(self) -> ModelInfo:
        """Which model it is."""
        return self.subject.blueprint.model

    @property
    def operations(self) -> tuple[Operation, ...]:
        """Every way for every class of module that it is for, measured."""
        return tuple(option.operation for option in self._options)

    @cached_property
    def _options(self) -> list[Option]:
        from archlint.surgery.options import options

        return options(self.subject.prover, self.subject.blueprint)

    def patch(self, way: Way | None = None) -> Patch | None:
        """The file of ``way``, or of the best one; ``None`` where the model has nothing that it is for."""
        from archlint.surgery.options import best, of_way
        from archlint.surgery.writing import written

        way = way or best(self._options)
        if way is None or not (chosen := of_way(self._options, way)):
            return None
        versions = engine.environment()
        used = {"torch": versions.torch, "transformers": versions.transformers, "peft": versions.peft}
        return written(chosen, self.model, used)

    def verify(self, patch: Patch) -> list[Step]:
        """The trial of ``patch`` on a small copy of the model; the first step that fails is the last.

        Raises:
            PatchError: it does not fit the model.
            NotVerifiableError: there is no small copy that can be run.
        """
        from archlint.running import NoSmallCopyError
        from archlint.surgery.verifying import verify

        try:
            return list(verify(self.subject.prover.model, self.subject.blueprint, patch, partial(_made, patch.way)))
        except NoSmallCopyError as error:
            raise NotVerifiableError(str(error)) from error


def _made(way: Way | None, model: nn.Module) -> Patch | None:
    """archlint's own patch of ``way`` for another model."""
    if way is None:
        return None
    with bench(model, engine.Options(prove=False)) as other:
        return other.patch(way) if isinstance(other, Bench) else None


@contextlib.contextmanager
def bench(source: str | nn.Module, options: engine.Options) -> Iterator[Bench | Report]:
    """What makes patches for one source; or a report that says why it cannot be loaded."""
    with engine.opening(source, options) as opened:
        yield opened if isinstance(opened, Report) else Bench(opened)
