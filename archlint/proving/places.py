"""Sites of a model and of its small copy: the same where their paths are, less the indices of layers."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable

from archlint.core.blueprint import Blueprint
from archlint.core.folding import without_indices
from archlint.core.trial import Crash


class Places:
    """The places of the sites of a model."""

    def __init__(self, blueprint: Blueprint) -> None:
        self._known = places(blueprint.by_path)

    def of(self, names: Iterable[str]) -> frozenset[str]:
        """Those of adapters, which PEFT names by parameters too: a layer's ``weight`` is no site of its own."""
        return frozenset(place if place in self._known else place.rpartition(".")[0] for place in places(names))


def places(paths: Iterable[str]) -> frozenset[str]:
    """What ``paths`` have in common with those of a copy."""
    return frozenset(map(without_indices, paths))


def in_model(crash: Crash, adapted: Collection[str]) -> Crash:
    """``crash`` at the first site of the model that stands where the copy crashed."""
    at = without_indices(crash.at or "")
    found = next((path for path in adapted if f"{at}.".startswith(f"{without_indices(path)}.")), None)
    return dataclasses.replace(crash, at=found)
