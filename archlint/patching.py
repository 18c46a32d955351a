"""The surgeries of one source: which there are, the file of each, and its trial."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from archlint import engine
from archlint.core.report import Report
from archlint.core.surgery import Way

if TYPE_CHECKING:
    from torch import nn

    from archlint.core.blueprint import ModelInfo
    from archlint.surgery.option import Option
    from archlint.surgery.patch import Patch
    from archlint.surgery.verifying import Step


@dataclass(frozen=True)
class Bench:
    """A model that patches are made for and tried on."""

    opened: engine.Opened

    @property
    def model(self) -> ModelInfo:
        """Which model it is."""
        return self.opened.blueprint.model

    @cached_property
    def options(self) -> list[Option]:
        """Every way for every class of module that it is for, measured."""
        from archlint.surgery.options import options

        return options(self.opened.prover, self.opened.blueprint)

    def patch(self, way: Way | None = None) -> Patch | None:
        """The file of ``way``, or of the best one; ``None`` where the model has nothing that it is for."""
        from archlint.surgery.options import best, of_way
        from archlint.surgery.writing import written

        way = way or best(self.options)
        if way is None or not (chosen := of_way(self.options, way)):
            return None
        versions = engine.environment()
        used = {"torch": versions.torch, "transformers": versions.transformers, "peft": versions.peft}
        return written(chosen, self.model, used)

    def verify(self, patch: Patch) -> list[Step]:
        """The trial of ``patch`` on a small copy of the model; the first step that fails is the last.

        Raises:
            PatchError: it does not fit the model.
            NoSmallCopyError: there is no small copy that can be run.
        """
        from archlint.surgery.verifying import verify

        return list(verify(self.opened.prover.model, self.opened.blueprint, patch))


@contextlib.contextmanager
def bench(source: str | nn.Module, options: engine.Options) -> Iterator[Bench | Report]:
    """What makes patches for one source; or a report that says why it cannot be loaded."""
    with engine.opening(source, options) as opened:
        yield Bench(opened) if isinstance(opened, engine.Opened) else opened
