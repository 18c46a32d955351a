"""Trainers by the names that users give them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from archlint.core.training import Trainer

NONE = "none"
"""Stands for nobody."""
NAMES = (*(trainer.value for trainer in Trainer), NONE)


def trainers_named(words: Iterable[str]) -> tuple[Trainer, ...]:
    """The trainers that ``words`` name, each word one or several between commas; nobody where it is ``none``.

    Raises:
        ValueError: a word names none, or names stand together that exclude each other.
    """
    names = [name.strip() for word in words for name in word.split(",")]
    for name in names:
        if name not in NAMES:
            meant = _meant(name)
            raise ValueError(f"{name!r} is none of {', '.join(NAMES)}{f'; did you mean {meant}?' if meant else ''}")
    if NONE in names and len(names) > 1:
        raise ValueError(f"{NONE} stands alone")
    trainers = tuple(dict.fromkeys(Trainer(name) for name in names if name != NONE))
    if Trainer.REWARD in trainers and len(trainers) > 1:
        raise ValueError(f"{Trainer.REWARD.value} trains a classifier, which others do not: it stands alone")
    return trainers


def _meant(name: str) -> str | None:
    """The name that is closest: by the names of the classes, too, in any case."""
    words = {NONE: NONE}
    for trainer in Trainer:
        for word in (trainer.value, trainer.value.removeprefix("trl-"), trainer.label.split()[-1], trainer.config):
            words[word.lower()] = trainer.value
    near = difflib.get_close_matches(name.lower(), words, 1)
    return words[near[0]] if near else None
