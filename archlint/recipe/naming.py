"""Names for a set of sites: the shortest suffixes that mean them and nothing else.

PEFT compares an entry of a list with the end of a module's path, and a string with the whole of it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from archlint.core.folding import fold

_INDEX = re.compile(r"[0-9]+")


@dataclass(frozen=True, slots=True)
class Names:
    """Target names, and the paths that they would reach besides the wanted ones."""

    targets: tuple[str, ...]
    spilled: tuple[str, ...] = ()


def suffixes(
    wanted: Collection[str], others: Iterable[str], *, least: int = 1, tolerated: Collection[str] = frozenset()
) -> Names | None:
    """Suffixes of ``wanted`` that reach none of ``others`` except ``tolerated`` ones.

    A suffix grows until it is unambiguous, but never into the index of a layer.

    Args:
        least: the number of parts that a suffix has at least.
        tolerated: paths that may be reached, because an exclusion will take them out again.

    Returns:
        ``None`` where suffixes cannot tell the wanted from the others.
    """
    by_end = _by_ends(others)
    targets: list[str] = []
    spilled: dict[str, None] = {}
    undecided: dict[str, list[str]] = {}
    for path in wanted:
        undecided.setdefault(_end(path, least), []).append(path)
    while undecided:
        suffix, paths = undecided.popitem()
        hits = by_end.get(suffix, ())
        if all(hit in tolerated for hit in hits):
            targets.append(suffix)
            spilled.update(dict.fromkeys(hits))
            continue
        parts = suffix.count(".") + 1
        for path in paths:
            longer = _end(path, parts + 1)
            if longer == suffix or (_INDEX.fullmatch(longer.partition(".")[0])):
                return None
            undecided.setdefault(longer, []).append(path)
    return Names(_in_order(targets, wanted), tuple(spilled))


def _by_ends(paths: Iterable[str]) -> dict[str, list[str]]:
    """Every suffix of every path, and the paths that end so."""
    ends: dict[str, list[str]] = {}
    for path in paths:
        parts = path.split(".")
        for start in range(len(parts)):
            ends.setdefault(".".join(parts[start:]), []).append(path)
    return ends


def _end(path: str, parts: int) -> str:
    return ".".join(path.split(".")[-parts:])


def _in_order(targets: Iterable[str], wanted: Iterable[str]) -> tuple[str, ...]:
    """``targets`` in the order in which the model has them, without those that another one already means."""
    chosen = set(targets)
    ordered: dict[str, None] = {}
    for path in wanted:
        parts = path.split(".")
        ends = [".".join(parts[start:]) for start in reversed(range(len(parts)))]
        found = next((end for end in ends if end in chosen), None)
        if found is not None:
            ordered[found] = None
    return tuple(ordered)


def pattern(wanted: Collection[str], others: Iterable[str]) -> str | None:
    """One regular expression that fully matches ``wanted`` and none of ``others``; ``None`` where it would be wrong.

    Indices are left open (``\\d+``) where that reaches nothing else.
    """
    others = list(others)
    pieces: list[str] = []
    for folded in fold(wanted):
        loose = _expression(folded, loose=True)
        strict = _expression(folded, loose=False)
        pieces.append(strict if any(re.fullmatch(loose, other) for other in others) else loose)
    expression = "|".join(dict.fromkeys(pieces))
    matches = re.compile(expression).fullmatch
    return expression if all(map(matches, wanted)) and not any(map(matches, others)) else None


def _expression(folded: str, *, loose: bool) -> str:
    """A folded pattern as a regular expression."""
    written: list[str] = []
    for piece in re.split(r"(\{[^{}]*\})", folded):
        if not piece.startswith("{"):
            written.append(re.escape(piece))
        elif re.fullmatch(r"\{[0-9.,]+\}", piece):
            written.append(r"\d+" if loose else f"({'|'.join(_numbers(piece[1:-1]))})")
        else:
            written.append(f"({'|'.join(map(re.escape, piece[1:-1].split(',')))})")
    return "".join(written)


def _numbers(ranges: str) -> Iterable[str]:
    for part in ranges.split(","):
        first, _, last = part.partition("..")
        yield from map(str, range(int(first), int(last or first) + 1))


def exclusion(roots: Sequence[str], wanted: Iterable[str]) -> str:
    """A regular expression for ``exclude_modules`` that takes out everything at and below ``roots``.

    A list would not do: PEFT compares its entries with the end of a path.
    """
    wanted = list(wanted)
    names = list(dict.fromkeys(root.rpartition(".")[2] for root in roots))
    brief = rf".*({'|'.join(map(re.escape, names))}).*" if len(names) > 1 else rf".*{re.escape(names[0])}.*"
    if not any(re.fullmatch(brief, path) for path in wanted) and not any(map(_INDEX.fullmatch, names)):
        return brief
    return rf"({'|'.join(map(re.escape, roots))})(\..*)?"
