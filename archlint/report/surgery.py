"""Surgeries as text: which there are, and how the trial of one went."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

from archlint.core.blueprint import ModelInfo, Operation, fold_sites
from archlint.core.runs import owner
from archlint.core.safety import Safety
from archlint.core.surgery import Step, Way
from archlint.report.quoting import one_line, visible

_WIDTH = max(len(way.value) for way in Way)


def listed(operations: Sequence[Operation], model: ModelInfo) -> str:
    """Each class of module with the ways that there are for it, and what each changes; one line a way."""
    return "".join(f"{line}\n" for line in _listed(operations, model))


def _listed(operations: Sequence[Operation], model: ModelInfo) -> Iterator[str]:
    if not operations:
        yield f"{visible(model.class_name)}: no surgery applies, PEFT finds each layer by its name"
    for sites, group in itertools.groupby(operations, key=lambda operation: operation.sites):
        yield f"{len(set(map(owner, sites)))} {visible(sites[0].type.name)}"
        for fold in fold_sites(sites):
            yield f"  {fold.count}× {visible(fold.pattern)}"
        for operation in group:
            yield f"    {operation.way.value:{_WIDTH}}  {_told(operation)}"


def _told(operation: Operation) -> str:
    effect = operation.effect
    if effect is None:
        return f"not possible: {one_line(operation.lack)}"
    parts = {"forward": effect.forward, "in training": effect.training, "once merged": effect.merged}
    if effect.training == effect.forward:
        del parts["in training"]
    lossy = [f"{name} by up to {part.figure}" for name, part in parts.items() if part.safety is Safety.LOSSY]
    if not lossy:
        return "exact"
    exact = [name for name, part in parts.items() if part.safety is Safety.EXACT]
    also = f"; exact {' and '.join(exact)}" if exact else ""
    return f"lossy {', '.join(lossy)} standard deviations of the outputs{also}"


def verified(steps: Iterable[Step]) -> str:
    """One line for each step of a trial."""
    return "".join(f"{line}\n" for line in _steps(list(steps)))


def _steps(steps: Sequence[Step]) -> Iterator[str]:
    width = max((len(step.name) for step in steps), default=0)
    for step in steps:
        mark = "failed" if not step.passed else step.safety.value if step.safety is not None else "ok"
        yield f"{mark:6}  {step.name:{width}}  {one_line(step.told)}"
