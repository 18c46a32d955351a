"""What archlint says: findings, their evidence and their remedies."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from archlint.core.blueprint import Fold, Scope, TypeInfo
from archlint.core.folding import without_indices
from archlint.core.safety import Safety
from archlint.core.training import Trainer


class Severity(str, enum.Enum):
    """How bad it is: see the module's users for what each promises.

    ``ERROR``: training raises or crashes. ``WARNING``: training runs, but silently wrong. ``INFO``: a trait
    worth knowing, which harms no plan tried.
    """

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for an error, growing as it gets milder."""
        return list(Severity).index(self)


class Evidence(str, enum.Enum):
    """How a finding is known: read from the structure, PEFT was run, or the adapted model was run."""

    STATIC = "static"
    INJECTED = "injected"
    FORWARDED = "forwarded"


@dataclass(frozen=True, slots=True)
class PlanLine:
    """Where the user's own file says what a finding is about: the key as it stands there, and its line from 1."""

    file: str
    line: int
    key: str


@dataclass(frozen=True, slots=True)
class Edit:
    """A change to one key of the user's own file, in that file's spelling.

    ``line`` is where the key stands, or where it would be put; ``text`` what is to stand there, empty where the
    key is to go.
    """

    file: str
    line: int
    key: str
    text: str


@dataclass(frozen=True, slots=True)
class Remedy:
    """A fix: words for a person, a value for a program, and whether it was proven by a trial."""

    kind: str
    text: str
    value: Any = None
    safety: Safety = Safety.EXACT
    proven: bool = False
    plan: Mapping[str, Any] | None = None
    """LoraConfig arguments that show the remedy at work; the engine tries them and sets ``proven``."""
    scope: Scope | None = None
    """The scope that ``plan`` is for, where it is another than that of the report."""
    training: Mapping[str, Any] | None = None
    """Arguments of the trainer that are the remedy; the engine judges with them and sets ``proven``."""
    trainer: Trainer | None = None
    """The trainer that is the remedy, in place of those that the finding concerns; likewise."""
    by_recipe: bool = False
    """The recipe of the report is this remedy: the engine puts its arguments here, or drops the remedy."""
    edits: tuple[Edit, ...] = ()
    """The same in the file that the user's plan came from; the engine sets it."""


@dataclass(frozen=True, slots=True)
class FoldedSites:
    """Where a finding applies: a symbolic path, and what stands there."""

    pattern: str
    count: int
    type: str
    kind: str
    role: str

    @classmethod
    def of(cls, fold: Fold) -> FoldedSites:
        return cls(fold.pattern, fold.count, fold.type.name, fold.kind.value, fold.role.value)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Layers of what is to be trained that the recipe does not adapt, and why."""

    reason: str
    sites: tuple[FoldedSites, ...]

    @property
    def count(self) -> int:
        """Number of sites."""
        return sum(fold.count for fold in self.sites)


@dataclass(frozen=True, slots=True)
class Location:
    """A line of source code: the definition of the class that the finding is about."""

    file: str
    line: int

    @classmethod
    def of(cls, type_info: TypeInfo) -> Location | None:
        """Where a class is defined; ``None`` without source, and for torch's own layers, which tell nothing."""
        if type_info.file is None or type_info.line is None or type_info.module.startswith("torch."):
            return None
        return cls(type_info.file, type_info.line)


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule's statement about a fold of sites, or about the model as a whole."""

    code: str
    name: str
    severity: Severity
    message: str
    why: str
    evidence: Evidence = Evidence.STATIC
    sites: tuple[FoldedSites, ...] = ()
    location: Location | None = None
    remedies: tuple[Remedy, ...] = ()
    proof: tuple[str, ...] = ()
    """What was run and what came of it, one line each."""
    unchecked: bool = False
    """It says that something could not be checked, which has an exit code of its own."""
    settings: tuple[str, ...] = ()
    """The plan's arguments that it is about, where the rule knows; otherwise they are found by its sites."""
    values: tuple[str, ...] = ()
    """The single values of ``settings`` that it is about, as :class:`~archlint.core.trial.Entry` has them."""
    trainers: tuple[Trainer, ...] = ()
    """Whom it concerns, where it does not concern all."""
    plan_line: PlanLine | None = None
    """Where the user's file says it; the engine sets it."""

    @property
    def count(self) -> int:
        """Number of sites."""
        return sum(fold.count for fold in self.sites)

    @property
    def fingerprint(self) -> str:
        """The same as long as the finding is: indices of layers, counts, wording and severity do not matter.

        One that is about no sites is known by its wording.
        """
        places = sorted({(fold.type, without_indices(fold.pattern)) for fold in self.sites})
        return hashlib.sha256(repr((self.code, places or self.message)).encode()).hexdigest()[:16]
