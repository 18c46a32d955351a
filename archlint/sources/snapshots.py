"""The architectures that come with archlint, and the families that they belong to."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    if sys.version_info >= (3, 11):
        from importlib.resources.abc import Traversable
    else:
        from importlib.abc import Traversable


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A hand-written description of one published architecture."""

    id: str
    config: Mapping[str, Any]
    """What differs from the defaults of its configuration class, ``model_type`` and ``architectures``."""
    also: tuple[str, ...] = ()
    """Other repositories of the same architecture."""
    figures: str = ""
    """Where the figures were published."""
    parameters: int | None = None
    parameters_from: str = ""
    """Where the number of parameters was published."""


@dataclass(frozen=True, slots=True)
class Family:
    """A name that people use for several models, and the model that stands for them."""

    name: str
    representative: str
    members: tuple[str, ...]

    @property
    def others(self) -> tuple[str, ...]:
        """The members that are not the representative."""
        return tuple(member for member in self.members if member != self.representative)


def ids() -> tuple[str, ...]:
    """The ids of all snapshots."""
    return tuple(sorted(_files()))


@functools.cache
def snapshots() -> tuple[Snapshot, ...]:
    """All snapshots, by id. To find one, :func:`find` reads less."""
    return tuple(_read(id) for id in ids())


def find(name: str) -> Snapshot | None:
    """The snapshot of a repository, by its id or one of ``also``; case does not matter."""
    wanted = name.casefold()
    for id in ids():
        if id.casefold() == wanted:
            return _read(id)
    return _by_other_id(wanted)


def families() -> tuple[Family, ...]:
    """All families, by name."""
    return tuple(sorted(_families().values(), key=lambda family: family.name))


def family(name: str) -> Family | None:
    """The family of this name; case does not matter."""
    return _families().get(name.casefold())


def full_name(repository: str) -> str | None:
    """The only family, or else the only snapshot, whose name after its organisation is this; case does not matter."""
    for names in (tuple(family.name for family in families()), ids()):
        found = [name for name in names if name.partition("/")[2].casefold() == repository.casefold()]
        if len(found) == 1:
            return found[0]
    return None


def _folder() -> Traversable:
    return files("archlint.fixtures")


@functools.cache
def _files() -> Mapping[str, Traversable]:
    folder = _folder() / "snapshots"
    names = ((file.name, file) for file in folder.iterdir() if file.name.endswith(".json"))
    return {name.removesuffix(".json").replace("--", "/"): file for name, file in names}


@functools.cache
def _read(id: str) -> Snapshot:
    data = json.loads(_text(id))
    return Snapshot(
        id=data["id"],
        config=data["config"],
        also=tuple(data.get("also", ())),
        figures=data.get("figures", ""),
        parameters=data.get("parameters"),
        parameters_from=data.get("parameters_from", ""),
    )


@functools.cache
def _text(id: str) -> str:
    return _files()[id].read_text(encoding="utf-8")


def _by_other_id(wanted: str) -> Snapshot | None:
    quoted = json.dumps(wanted)  # to parse them all takes longer than to look for the name in their text
    for snapshot in (_read(id) for id in ids() if quoted in _text(id).casefold()):
        if any(other.casefold() == wanted for other in snapshot.also):
            return snapshot
    return None


@functools.cache
def _families() -> Mapping[str, Family]:
    described = json.loads((_folder() / "families.json").read_text(encoding="utf-8"))
    return {
        name.casefold(): Family(name, data["representative"], tuple(data["members"]))
        for name, data in described.items()
    }
