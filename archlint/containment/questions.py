"""What a contained process can be asked, what it answers, and how it says that there is no answer."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archlint.core.blueprint import Blueprint, Operation, Scope
from archlint.core.training import Trainer
from archlint.identity import NAMELESS, Located
from archlint.options import Options
from archlint.sources.source import SourceOptions

if TYPE_CHECKING:
    from archlint.surgery.option import Option

BUILD = "build"


@dataclass(frozen=True, slots=True)
class Question:
    """One of :class:`archlint.subject.Bench`, by its name, or to build the model at first."""

    name: str
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """The model to build: what of a source and of options decides that, and nothing else of them."""

    located: Located
    scope: Scope | None
    rewards: bool
    class_name: str | None

    @property
    def options(self) -> Options:
        trainers = (Trainer.REWARD,) if self.rewards else None
        source = SourceOptions(offline=True, trust_remote_code=True, class_name=self.class_name)
        return Options(scope=self.scope, trainers=trainers, source=source)


def wanted(located: Located, options: Options) -> Wanted:
    """The model of ``located``, without the name that the user has for it, and in a folder without links."""
    folder = None if located.source.folder is None else Path(os.path.realpath(located.source.folder))
    source = dataclasses.replace(located.source, name=NAMELESS, id=NAMELESS, folder=folder, notes=())
    return Wanted(Located(NAMELESS, source, located.adapter), options.scope, options.rewards, options.source.class_name)


@dataclass(frozen=True, slots=True)
class Made:
    """A model, and the files that its classes are made from, as :class:`archlint.places.Places` has them."""

    blueprint: Blueprint
    files: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """An answer as it is told: ``answer``, or the ``kind`` of a failure and why."""

    word: str
    answer: Any = None
    kind: str = ""
    why: str = ""
    expired: int = 0
    """How many deadlines ended for it."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that code of the repository did, or tried."""

    word: str
    kind: str
    what: str


@dataclass(frozen=True, slots=True)
class Cutting:
    """An :class:`archlint.surgery.option.Option` as it is told; archlint itself writes the file of it.

    Constants are a Python literal: their keys need not be text.
    """

    operation: Operation
    templates: tuple[str, ...]
    constants: str
    target: str
    notes: tuple[str, ...]
    is_shared: bool


def cutting(option: Option) -> Mapping[str, Any]:
    """``option`` as JSON values, less its operation."""
    return {
        "templates": [module.__name__ for module in option.templates],
        "constants": repr(dict(option.constants)),
        "target": option.target,
        "notes": list(option.notes),
        "is_shared": option.is_shared,
    }
