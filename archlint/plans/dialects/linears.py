"""What trainers look at when they choose layers by themselves, told from a blueprint."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any

from archlint.core.blueprint import Blueprint, Kind, Role, Site

TOWERS = (Role.VISION, Role.AUDIO)


def modules(blueprint: Blueprint) -> list[Site]:
    """The sites that are modules, in the order of ``named_modules``."""
    return [site for site in blueprint.sites if not site.is_parameter]


def is_linear(site: Site) -> bool:
    """Whether it is a ``torch.nn.Linear`` or of a subclass of it."""
    return not site.is_parameter and "Linear" in (site.type.name, *site.type.bases)


def is_composite(blueprint: Blueprint) -> bool:
    """Whether the model has a tower or a connector beside its language model; an encoder before a decoder is none."""
    roles = {site.role for site in blueprint.sites if site.kind is not Kind.OTHER}
    return Role.PROJECTOR in roles or (not roles.isdisjoint(TOWERS) and not blueprint.facts.is_encoder_decoder)


def tops(blueprint: Blueprint, roles: Collection[Role]) -> list[str]:
    """The paths of the highest modules that hold nothing but parts of ``roles``."""
    mixed = {""}
    for site in blueprint.sites:
        if site.role not in roles and site.kind is not Kind.OTHER:
            parts = site.path.split(".")
            mixed.update(".".join(parts[:length]) for length in range(1, len(parts) + 1))
    found: list[str] = []
    for site in modules(blueprint):
        below = any(f"{site.path}.".startswith(f"{top}.") for top in found[-1:])
        if site.role in roles and site.path not in mixed and not below:
            found.append(site.path)
    return found


def language_model(blueprint: Blueprint) -> str | None:
    """The path of the module that holds the whole language model and no tower."""
    paths = [site.path.split(".") for site in blueprint.sites if site.role is Role.TEXT and is_linear(site)]
    if not paths:
        return None
    shared: list[str] = []
    for parts in zip(*paths, strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    path = ".".join(shared)
    return path.removesuffix(".layers") or None


def wrappers(blueprint: Blueprint) -> list[Site]:
    """The modules around a linear that PEFT has no layer for, and which hold it as ``linear``."""
    return [site for site in blueprint.select(Kind.WRAPPER) if site.inner == f"{site.path}.linear"]


def redirected(arguments: dict[str, Any], blueprint: Blueprint) -> dict[str, Any]:
    """``arguments`` for a tool that has PEFT adapt the linear inside a wrapper when the wrapper is a target.

    Wrappers that are reached are excluded, and what is inside is targeted. The tools do that by a patch of PEFT.
    """
    targets = arguments.get("target_modules")
    reached = [site for site in wrappers(blueprint) if reaches(targets, site.path)]
    if not reached:
        return arguments
    patterns = [re.escape(site.path) for site in reached]
    excluded = arguments.get("exclude_modules")
    if isinstance(excluded, str):
        patterns.insert(0, excluded)
    elif excluded:
        patterns.insert(0, rf"(.*\.)?({'|'.join(map(re.escape, excluded))})")
    inner: str | list[str]
    if isinstance(targets, str):
        inner = targets if all(reaches(targets, site.inner or "") for site in reached) else rf"(?:{targets})(\.linear)?"
    else:
        missing = [site for site in reached if not reaches(targets, site.inner or "")]
        inner = [*(targets or ()), *sorted({f"{site.leaf}.linear" for site in missing})]
    return {**arguments, "target_modules": inner, "exclude_modules": "|".join(patterns)}


def reaches(targets: str | Iterable[str] | None, path: str) -> bool:
    """Whether PEFT's matching takes ``path`` for ``targets``: a full match, or the end of a path."""
    if isinstance(targets, str):
        return re.fullmatch(targets, path) is not None
    return any(path == name or path.endswith(f".{name}") for name in targets or ())
