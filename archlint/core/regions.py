"""Parts of a model by path: the towers and connectors beside what a scope trains, and a pattern that excludes them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from archlint.core.blueprint import Blueprint, Site


def roots(blueprint: Blueprint, sites: Iterable[Site]) -> list[str]:
    """The highest module above each of ``sites`` that holds no projection of the scope."""
    shared = {ancestor for site in blueprint.projections for ancestor in _lineage(site.path)}
    found = (next((part for part in _lineage(site.path) if part not in shared), site.path) for site in sites)
    return list(dict.fromkeys(found))


def excluding(blueprint: Blueprint, parts: Iterable[str], besides: str | Collection[str] | None = None) -> str:
    """A regular expression for ``exclude_modules`` that leaves out everything at and below ``parts``.

    By the last names of ``parts`` where no projection of the scope has one in its path, else by whole paths.
    ``besides`` is what a plan excludes already.
    """
    parts = list(parts)
    leaves = dict.fromkeys(part.rpartition(".")[2] for part in parts)
    pattern = f".*({_any_of(leaves)}).*" if len(leaves) > 1 else f".*{_any_of(leaves)}.*"
    if any(leaf.isdigit() for leaf in leaves) or _reaches_scope(blueprint, pattern):
        pattern = f"({_any_of(parts)})(\\..*)?"
    if isinstance(besides, str):
        return f"{besides}|{pattern}"
    kept = [name for name in besides or () if name not in leaves]
    return f"(.*\\.)?({_any_of(kept)})|{pattern}" if kept else pattern


def _any_of(names: Iterable[str]) -> str:
    return "|".join(map(re.escape, names))


def _reaches_scope(blueprint: Blueprint, pattern: str) -> bool:
    return any(re.fullmatch(pattern, site.path) for site in blueprint.projections)


def _lineage(path: str) -> Iterator[str]:
    """The ancestors of ``path``, highest first, and ``path`` itself."""
    parts = path.split(".")
    return (".".join(parts[:length]) for length in range(1, len(parts) + 1))
