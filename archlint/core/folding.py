"""Symbolic paths: many dotted names that differ only by index or sibling, written once.

``model.layers.{0..41}.self_attn.{q,k,v,o}_proj`` stands for 168 module paths. :func:`fold` makes such
patterns and :func:`unfold` gives back exactly the paths that went in. Inside braces stand alternatives,
separated by commas; ``a..b`` is an inclusive range of indices. A brace, comma or backslash that belongs to
a name is escaped with a backslash.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from math import prod

_INDEX = re.compile(r"0|[1-9][0-9]*")
_SPECIAL = re.compile(r"([\\{},])")
_RANGE = re.compile(r"([0-9]{1,9})\.\.([0-9]{1,9})")

_Segment = tuple[str, ...]
"""The alternatives at one place of a path, in order of appearance."""


def fold(paths: Iterable[str]) -> list[str]:
    """Write ``paths`` as few patterns; order of first appearance is kept and duplicates count once."""
    rows: list[tuple[_Segment, ...]] = [tuple((part,) for part in path.split(".")) for path in dict.fromkeys(paths)]
    return [pattern for _, pattern in sorted(_fold_rows(rows))]


def _fold_rows(rows: Sequence[tuple[_Segment, ...]]) -> Iterator[tuple[int, str]]:
    by_length: dict[int, dict[tuple[_Segment, ...], int]] = {}
    for rank, row in enumerate(rows):
        by_length.setdefault(len(row), {})[row] = rank
    for length, ranked in by_length.items():
        merged = ranked
        for indices_only in (True, False):
            for place in range(length):
                there = {row[place] for row in merged}
                if len(there) > 1 and (
                    not indices_only or any(map(_is_index, there))
                ):  # else there is nothing to merge
                    merged = _merge_at(place, merged, indices_only=indices_only)
        for row, rank in merged.items():
            yield rank, ".".join(_write(segment) for segment in row)


def _merge_at(
    place: int, ranked: dict[tuple[_Segment, ...], int], *, indices_only: bool
) -> dict[tuple[_Segment, ...], int]:
    """Merge the rows that are equal except at ``place``."""
    groups: dict[tuple[object, ...], list[tuple[_Segment, ...]]] = {}
    for row in ranked:
        is_index = _is_index(row[place])
        alone = indices_only and not is_index
        rest = (*row[:place], row if alone else is_index, *row[place + 1 :])
        groups.setdefault(rest, []).append(row)
    merged: dict[tuple[_Segment, ...], int] = {}
    for group in groups.values():
        names = tuple(dict.fromkeys(name for row in group for name in row[place]))
        union = (*group[0][:place], names, *group[0][place + 1 :])
        merged[union] = min(ranked[row] for row in group)
    return merged


def _is_index(names: _Segment) -> bool:
    return all(map(_INDEX.fullmatch, names))


def _write(names: _Segment) -> str:
    if len(names) == 1:
        return _escape(names[0])
    if _is_index(names):
        return "{" + ",".join(_ranges(sorted(map(int, names)))) + "}"
    prefix = _common_prefix(names)
    suffix = _common_prefix([name[len(prefix) :][::-1] for name in names])[::-1]
    middles = [name[len(prefix) : len(name) - len(suffix)] for name in names]
    return _escape(prefix) + "{" + ",".join(map(_escape, middles)) + "}" + _escape(suffix)


def _common_prefix(names: Sequence[str]) -> str:
    """The longest common prefix that ends where a word of snake_case does."""
    prefix = os.path.commonprefix(list(names))  # noqa: RUF071  of characters is what is meant
    if all(len(name) > len(prefix) and name[len(prefix)] == "_" for name in names):
        return prefix
    return prefix[: prefix.rfind("_") + 1]


def _ranges(numbers: Sequence[int]) -> Iterator[str]:
    for _, run in itertools.groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        indices = [number for _, number in run]
        if len(indices) > 2:
            yield f"{indices[0]}..{indices[-1]}"
        else:
            yield from map(str, indices)


def _escape(name: str) -> str:
    return _SPECIAL.sub(r"\\\1", name)


def unfold(pattern: str) -> list[str]:
    """Every path that ``pattern`` stands for."""
    return ["".join(choice) for choice in itertools.product(*pieces(pattern))]


def size(pattern: str) -> int:
    """How many paths ``pattern`` stands for, without writing them down."""
    return prod(sum(map(_width, _parts(text))) for is_group, text in _tokens(pattern) if is_group)


def pieces(pattern: str) -> Iterator[list[str]]:
    """``pattern`` from left to right: what may stand at each place, one thing outside braces, several inside."""
    for is_group, text in _tokens(pattern):
        yield list(_alternatives(text)) if is_group else [_unescape(text)]


def _tokens(pattern: str) -> Iterator[tuple[bool, str]]:
    """Split ``pattern`` into literal stretches and the insides of its braces; one that is left open is literal."""
    start, depth_start, i = 0, -1, 0
    while i < len(pattern):
        if pattern[i] == "\\":
            i += 2
            continue
        if pattern[i] == "{" and depth_start < 0:
            yield False, pattern[start:i]
            start, depth_start = i, i + 1
        elif pattern[i] == "}" and depth_start >= 0:
            yield True, pattern[depth_start:i]
            start, depth_start = i + 1, -1
        i += 1
    yield False, pattern[start:]


def _alternatives(inside: str) -> Iterator[str]:
    for part in _parts(inside):
        if bounds := _RANGE.fullmatch(part):
            yield from map(str, range(int(bounds[1]), int(bounds[2]) + 1))
        else:
            yield _unescape(part)


def _parts(inside: str) -> list[str]:
    """What stands between the commas of a group."""
    return re.findall(r"((?:\\.|[^\\,])*),", f"{inside},")


def _width(part: str) -> int:
    """How many alternatives a part of a group is."""
    bounds = _RANGE.fullmatch(part)
    return 1 if bounds is None else max(0, int(bounds[2]) - int(bounds[1]) + 1)


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def without_indices(pattern: str) -> str:
    """``pattern`` with every index or range of indices as ``*``: what stays when layers are added or moved."""
    starred = re.sub(r"\{[0-9.,]+\}", "*", pattern)
    return ".".join("*" if _INDEX.fullmatch(part) else part for part in starred.split("."))
