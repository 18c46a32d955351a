"""Names that somebody may have meant: what the model has, by the words that its names are made of."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_FILLERS = frozenset({"proj", "layer", "linear", "weight"})
_FUSED = re.compile(r"w?[qkvz]{2,}")
_SHORT = 3
"""Below this many letters a likeness by spelling says nothing: every ``x_proj`` is like every other."""


def near(name: str, known: Iterable[str]) -> list[str]:
    """Those of ``known`` that ``name`` may stand for: the same words, a beginning of them, a fusion, a misspelling."""
    words = _words(name)
    known = list(dict.fromkeys(known))
    same = [other for other in known if other.lower() == name.lower() or _words(other) == words]
    return same or [other for other in known if _alike(words, _words(other))]


def _words(name: str) -> tuple[str, ...]:
    words = [word.lower() for word in _WORD.findall(name)]
    return tuple(word for word in words if word not in _FILLERS) or tuple(words)


def _alike(words: tuple[str, ...], others: tuple[str, ...]) -> bool:
    if set(words) <= set(others) or set(others) <= set(words):
        return True
    if any(_begins(word, other) or _part_of(word, other) for word in words for other in others):
        return True
    spelled, other = "".join(words), "".join(others)
    long_enough = min(len(spelled), len(other)) >= _SHORT
    return long_enough and difflib.SequenceMatcher(None, spelled, other).ratio() >= 0.8


def _begins(word: str, other: str) -> bool:
    """Whether one is how the other begins, and says more than a number: ``o`` and ``out``, ``query`` and ``q``."""
    return not word.isdigit() and (other.startswith(word) or word.startswith(other))


def _part_of(word: str, other: str) -> bool:
    """Whether a query, key or value is part of a fused one: ``v`` and ``qkv``."""
    return word in ("q", "k", "v") and word in other and _FUSED.fullmatch(other) is not None


def respelled(name: str) -> Iterator[str]:
    """What ``name`` may be when what does not belong to it is taken off, and for another order of its first parts.

    Quotes and brackets around it, ``.weight`` behind it, PEFT's own prefix; ``language_model.model.layers`` for
    ``model.language_model.layers``, with ``model`` before it or with its first part left out.
    """
    plain = name.strip(" []'\"").removeprefix("base_model.model.")
    yield plain
    yield plain.removesuffix(".weight")
    roots = re.match(r"(?:[A-Za-z_]+\\?\.)+", plain)
    if roots is not None:
        parts = re.findall(r"[A-Za-z_]+\\?\.", roots.group())
        orders = [[re.sub(r"\w+", "model", parts[0]), *parts], parts[1:]]
        if len(parts) > 1:
            orders.insert(0, [parts[1], parts[0], *parts[2:]])
        for order in orders:
            yield "".join(order) + plain[roots.end() :]
