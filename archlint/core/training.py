"""What trainers make of a model: plain data, which rules read; it is found out in ``training``."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from archlint.core.trial import Crash


class Trainer(str, enum.Enum):
    """Whom a model is checked for."""

    SFT = "trl-sft"
    DPO = "trl-dpo"
    GRPO = "trl-grpo"
    KTO = "trl-kto"
    REWARD = "trl-reward"
    TRANSFORMERS = "transformers"

    @property
    def fuses_head(self) -> bool:
        """Whether it computes log-probabilities from the head's weight, without the model's own forward."""
        return self not in (Trainer.REWARD, Trainer.TRANSFORMERS)


DEFAULT_TRAINERS = (Trainer.SFT, Trainer.TRANSFORMERS)


@dataclass(frozen=True, slots=True)
class Step:
    """One operation of a model's own code between its backbone and its logits, and the line that does it."""

    name: str
    """The function of torch: ``mul``, ``tanh``, ``layer_norm``."""
    file: str
    line: int
    weights: tuple[str, ...] = ()
    """The parameters and buffers that go into it."""

    def __str__(self) -> str:
        return f"{self.name} at {self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Tail:
    """The logits that a model computes from its last hidden state, beside those of a fused head."""

    difference: float = 0.0
    """The largest difference of a token's log-probability, with logits of the spread of a trained model's."""
    skipped: tuple[Step, ...] = ()
    """Operations of the model's own forward that the fused head does without."""
    applied: Mapping[str, float] = field(default_factory=dict)
    """Settings of the config that the fused head applies, and their values."""
    other_state: bool = False
    """Whether the model computes its logits from something else than the last hidden state."""
    reason: str = ""
    """Why nothing could be compared."""

    @property
    def differs(self) -> bool:
        return self.other_state or self.difference > TOLERANCE


TOLERANCE = 1e-3
"""Difference of a log-probability that rounding in single precision does not explain."""


@dataclass(frozen=True, slots=True)
class OwnLoss:
    """What a model's own loss is; ``None`` where it could not be told."""

    shifted: bool | None = None
    """Whether the label of a token is compared with what the model says of the token before."""
    counts_items: bool | None = None
    """Whether ``num_items_in_batch`` is what it is divided by."""


@dataclass(frozen=True, slots=True)
class Training:
    """What was found out of a model for the trainers that it is checked for."""

    trainers: tuple[Trainer, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the trainer that differ from its defaults."""
    trl: str = ""
    """The version of TRL whose behaviour is told."""
    fused: Crash | None = None
    """What the fused head raises, without an auxiliary loss."""
    auxiliary: Crash | None = None
    """What it raises beyond that with the auxiliary loss of experts, where the trainer adds one."""
    tail: Tail = field(default_factory=Tail)
    loss: OwnLoss = field(default_factory=OwnLoss)
    passes_count: bool = False
    """Whether the Trainer leaves the division by the number of accumulated batches to the model's loss."""
    checkpointing: bool = True
    """Whether the class supports gradient checkpointing."""
