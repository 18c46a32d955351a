"""All surgeries that a model allows, and the one to take where nobody says."""

from __future__ import annotations

from collections.abc import Sequence

from archlint.core.blueprint import Blueprint, Kind
from archlint.core.safety import Safety
from archlint.core.surgery import Way
from archlint.proving import Prover
from archlint.surgery import experts, fused, shielding, wrappers
from archlint.surgery.option import Option

_BEST_FIRST = (Way.UNWRAP, Way.KEEP, Way.REGISTER, Way.EXPERTS, Way.SPLIT, Way.SHIELD)
"""But for layers that make all-linear crash: to shield them comes before all that is not needed to train."""

_OPTIONAL = (Way.EXPERTS, Way.SPLIT)


def options(prover: Prover, blueprint: Blueprint) -> list[Option]:
    """What can be done for each class of module that PEFT cannot adapt as it is, by its usual names."""
    finders = (wrappers.options, shielding.options, fused.options, experts.options, wrappers.lookalikes)
    return [option for finder in finders for option in finder(prover.model, blueprint, prover)]


def of_way(found: Sequence[Option], way: Way) -> list[Option]:
    """Those of ``found`` that make the patch file of ``way``; modules that do more than wrap, where none just wraps."""
    those = [option for option in found if option.operation.way is way and option.operation.effect is not None]
    mere = [option for option in those if option.operation.sites[0].kind is not Kind.OTHER]
    return mere or those


def best(found: Sequence[Option]) -> Way | None:
    """The first way with a patch that changes nothing of the forward pass, or else the first; ``None`` without any."""
    mere = [option for option in found if option.operation.sites[0].kind is not Kind.OTHER]
    found = [option for option in mere if option.operation.effect is not None] or found
    ways = [way for way in _BEST_FIRST if of_way(found, way)]
    if any("Linear" in site.type.bases for option in of_way(found, Way.SHIELD) for site in option.operation.sites):
        ways.sort(key=lambda way: way is not Way.SHIELD and way in _OPTIONAL)
    kept = [way for way in ways if all(_keeps(option) for option in of_way(found, way))]
    return next(iter([*kept, *ways]), None)


def _keeps(option: Option) -> bool:
    effect = option.operation.effect
    assert effect is not None  # of_way looked
    return effect.forward.safety is Safety.EXACT and effect.training.safety is Safety.EXACT
