"""What a tool calls the arguments of a PEFT config, and what it makes of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from archlint.core.blueprint import Blueprint
from archlint.core.means import Means
from archlint.core.trial import LORA
from archlint.plans.document import Document, Section
from archlint.plans.trainer_settings import TrainerSettings

__all__ = ["Dialect", "Means", "Reading", "Remark"]


@dataclass(frozen=True, slots=True)
class Remark:
    """Something in a file that archlint passes over or takes in its own way, and the line where it stands."""

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file says of adapters, in PEFT's words."""

    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the tuner's config (JSON values), the tool's own defaults included, PEFT's left out."""
    tuner: str = LORA
    """PEFT's ``peft_type``."""
    base_model: str | None = None
    """The model that the file names."""
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """For each PEFT argument, the keys of the file that it comes from, the one to be changed first."""
    unknown: tuple[Remark, ...] = ()
    """What archlint does not understand."""
    notes: tuple[Remark, ...] = ()
    """What the tool does with the file that a reader may not expect, such as a default of its own."""
    waits: bool = False
    """Whether the targets depend on the model: :meth:`Dialect.choose` tells them."""
    wants_all: bool = False
    """Whether it asks for every linear layer, whatever the tool makes of that."""
    hints: Mapping[str, Any] = field(default_factory=dict)
    """What :meth:`Dialect.choose` needs besides: values of keys that PEFT has no argument for."""
    training: TrainerSettings = field(default_factory=TrainerSettings)
    """What it says of the trainer."""


class Dialect(ABC):
    """One tool's way to say where adapters go."""

    name: ClassVar[str]
    """As in ``--for``."""
    title: ClassVar[str]
    """As people write it."""
    means: ClassVar[Means]

    @abstractmethod
    def claims(self, document: Document) -> list[tuple[int, Section]]:
        """The sections of ``document`` that this tool would read adapters from, each with how much speaks for it.

        That is the number of keys, or of other signs, which only this tool has; shared ones count nothing. A
        section without a sign is not listed.
        """

    @abstractmethod
    def read(self, document: Document, section: Section) -> Reading:
        """What ``section`` says.

        Raises:
            PlanError: a value is of a type that the tool refuses, or the file turns adapters off.
        """

    def choose(self, reading: Reading, blueprint: Blueprint) -> dict[str, Any]:
        """The arguments that the tool gives PEFT on the model of ``blueprint``; needed where a reading waits."""
        return dict(reading.arguments)

    @abstractmethod
    def spell(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """``arguments`` of a LoraConfig as keys and values of this tool's file.

        Raises:
            PlanError: the tool has no key for one of them.
        """

    @abstractmethod
    def spell_training(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """``arguments`` of the trainer as keys and values of this tool's file.

        Raises:
            PlanError: the tool has no key for one of them.
        """

    @abstractmethod
    def fragment(self, arguments: Mapping[str, Any], base_model: str, training: Mapping[str, Any] | None = None) -> str:
        """``arguments`` as text to paste into this tool's file, ending in a line break.

        Those of the trainer in ``training`` are in it where they stand in the same file and the tool's trainer has a
        use for them.

        Raises:
            PlanError: the tool has no key for one of them.
        """

    def shorthands(
        self, arguments: Mapping[str, Any], base_model: str, training: Mapping[str, Any] | None = None
    ) -> Iterator[str]:
        """Other texts than :meth:`fragment`'s, which this tool makes the same of on some models.

        They stand in for names of single layers, the plainest first, and each has to be tried on the model.
        """
        yield from ()


def names_single_layers(targets: str | Sequence[str] | None) -> bool:
    """Whether ``targets`` are a list in which indices of layers stand."""
    return isinstance(targets, list) and any(part.isdigit() for name in targets for part in name.split("."))
