"""What an unknown name may have been meant to be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from archlint.sources import model_types, snapshots

_MOST = 3
_ALIKE = 0.7


def similar_sources(name: str) -> list[str]:
    """Repositories, families and model types (as ``type:NAME``) whose names are close to ``name``, best first.

    A name without an organisation is also compared to what follows theirs.
    """
    return _closest(name, _sources(bare="/" not in name))


def similar_types(name: str) -> list[str]:
    """Model types whose names are close to ``name``, best first."""
    return _closest(name, ((known, known) for known in sorted(model_types.model_types())))


def _sources(bare: bool) -> Iterator[tuple[str, str]]:
    """Names to compare with, and what to suggest for each."""
    names = [family.name for family in snapshots.families()]
    for snapshot in snapshots.snapshots():
        names += [snapshot.id, *snapshot.also]
    for name in names:
        yield name, name
        if bare and "/" in name:
            yield name.partition("/")[2], name
    if bare:
        yield from ((known, f"type:{known}") for known in sorted(model_types.model_types()))


def _closest(name: str, known: Iterable[tuple[str, str]]) -> list[str]:
    import difflib

    suggestions: dict[str, list[str]] = {}
    for candidate, suggestion in known:
        suggestions.setdefault(candidate.casefold(), []).append(suggestion)
    close = difflib.get_close_matches(name.casefold(), suggestions, n=_MOST, cutoff=_ALIKE)
    return list(dict.fromkeys(suggestion for match in close for suggestion in suggestions[match]))[:_MOST]
