"""What a plan may have meant by values that reach nothing: the names that the model has instead."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from archlint.core.blueprint import Blueprint, Kind, Site
from archlint.core.expressions import matched
from archlint.core.names import near, respelled
from archlint.core.refusals import is_adaptable
from archlint.core.suffixes import reached_by

ALL_LINEAR = "all-linear"
_OUTPUTS = frozenset({"o_proj", "out_proj", "o"})
_ATTENTION = _OUTPUTS | frozenset(
    {"q_proj", "k_proj", "v_proj", "qkv_proj", "query", "key", "value", "query_key_value"}
    | {"q", "k", "v", "c_attn", "Wqkv"}
)
"""What plans call the layers of attention: PEFT's default targets have these names
(``TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING``, 0.21)."""


def inventory(blueprint: Blueprint) -> list[str]:
    """What the scope's layers are called that PEFT adapts."""
    return list(dict.fromkeys(site.leaf for site in blueprint.projections if is_adaptable(blueprint, site.path)))


def nearest(values: Iterable[str], known: Iterable[str], given: Collection[str] = ()) -> list[str]:
    """Those of ``known`` that any of ``values`` may stand for, and that are not ``given`` besides."""
    known = [name for name in known if name not in given]
    return list(dict.fromkeys(name for value in values for name in near(value, known)))


def names_attention(targets: str | Sequence[str] | None) -> bool:
    """Whether ``targets`` are a list of what attention's layers are called, in this model or in any other."""
    return bool(targets) and not isinstance(targets, str) and {_leaf(name) for name in targets or ()} <= _ATTENTION


def names_outputs(targets: Sequence[str]) -> bool:
    """Whether the projection behind an attention is among ``targets``, as well as those before it."""
    return any(_leaf(name) in _OUTPUTS for name in targets)


def _leaf(name: str) -> str:
    return name.rpartition(".")[2]


def is_expression(blueprint: Blueprint, value: str) -> bool:
    """Whether ``value`` matches any module of the model as a regular expression."""
    return bool(matched(value, _modules(blueprint)))


def string(blueprint: Blueprint, given: str) -> str | list[str] | None:
    """``target_modules`` that reach something, for a string that does not: a list of names, or a longer expression."""
    names = [name.strip(" []'\"") for name in given.split(",")]
    if all(reached_by(name, _modules(blueprint)) for name in names):
        return names
    variants = [*respelled(given), rf".*\.({given})" if "|" in given else rf".*\.{given}", f".*{given}"]
    return next((variant for variant in variants if is_expression(blueprint, variant)), None)


def listed(blueprint: Blueprint, given: Sequence[str], missing: Collection[str]) -> str | list[str] | None:
    """``target_modules`` for a list with ``missing`` names in it: one string, other spellings, or the nearest names."""
    if any(value.lower() == ALL_LINEAR for value in missing):
        return ALL_LINEAR
    if any(is_expression(blueprint, value) for value in missing):
        return "|".join(value if value in missing else rf"(.*\.)?{re.escape(value)}" for value in given)
    mended: dict[str, None] = {}
    for value in given:
        mended.update(dict.fromkeys(_instead_of(blueprint, value, given) if value in missing else [value]))
    return list(mended) if set(mended) - set(given) else None


def _instead_of(blueprint: Blueprint, value: str, given: Collection[str]) -> list[str]:
    paths = _modules(blueprint)
    parts = (part.strip() for part in value.split(","))
    spelled = [next((name for name in respelled(part) if reached_by(name, paths)), None) for part in parts]
    found = [name for name in spelled if name is not None]
    return found if len(found) == len(spelled) else nearest([value], inventory(blueprint), given)


def parameters(blueprint: Blueprint, missing: Iterable[str]) -> list[str]:
    """``target_parameters`` for names that reach none: a linear's weight, a module's matrices, the nearest matrices."""
    matrices = _matrices(blueprint)
    whole = (site for site in blueprint.sites if not site.is_parameter)
    weights = [f"{site.path}.{weight.name}" for site in whole for weight in site.weights]
    found: dict[str, None] = {}
    for value in missing:
        if reached_by(f"{value}.weight", weights):
            found[f"{value}.weight"] = None
            continue
        close = near(value.rpartition(".")[2], {site.leaf for site in matrices})
        inside = [site for site in matrices if reached_by(value, [site.parent])]
        found.update((_brief(site), None) for site in inside or matrices if inside or site.leaf in close)
    return list(found)


def stacked(blueprint: Blueprint) -> list[str]:
    """The parameters that are used as matrices by themselves, each by its module's name and its own."""
    return list(dict.fromkeys(map(_brief, _matrices(blueprint))))


def _brief(site: Site) -> str:
    return ".".join(site.path.split(".")[-2:])


def _matrices(blueprint: Blueprint) -> list[Site]:
    sites = blueprint.select(Kind.FUSED_EXPERTS, Kind.RAW_PROJECTION)
    return [site for site in sites if site.is_parameter]


def _modules(blueprint: Blueprint) -> list[str]:
    return [site.path for site in blueprint.sites if site.path and not site.is_parameter]
