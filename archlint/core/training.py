"""What trainers make of a model: plain data, which rules read; it is found out in ``training``."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from archlint.core.trial import Crash, Trial


class Trainer(str, enum.Enum):
    """Whom a model is checked for."""

    SFT = "trl-sft"
    DPO = "trl-dpo"
    GRPO = "trl-grpo"
    KTO = "trl-kto"
    REWARD = "trl-reward"
    TRANSFORMERS = "transformers"

    @property
    def is_trl(self) -> bool:
        return self is not Trainer.TRANSFORMERS

    @property
    def label(self) -> str:
        """As people write it."""
        return _LABELS[self]

    @property
    def config(self) -> str:
        """The class that takes its arguments."""
        return "TrainingArguments" if self is Trainer.TRANSFORMERS else self.label.replace("Trainer", "Config")


_LABELS = {
    Trainer.SFT: "SFTTrainer",
    Trainer.DPO: "DPOTrainer",
    Trainer.GRPO: "GRPOTrainer",
    Trainer.KTO: "KTOTrainer",
    Trainer.REWARD: "RewardTrainer",
    Trainer.TRANSFORMERS: "transformers' Trainer",
}

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
    left_off: int = 0
    """Columns of the product with the head that the model's own logits do without, such as padding."""
    buffers: tuple[str, ...] = ()
    """Buffers that are skipped, and without which nothing differs: their content is the checkpoint's, often zero."""
    other_state: bool = False
    """Whether the model computes its logits from something else than the last hidden state."""
    head: Step | None = None
    """The product with the head's weight in the model's own forward."""
    mended_by: Mapping[str, float | None] = field(default_factory=dict)
    """Settings of the text config with which the fused head computes the model's own logits, where there are any."""
    reason: str = ""
    """Why nothing could be compared."""

    @property
    def differs(self) -> bool:
        return self.other_state or self.difference > TOLERANCE

    def passes_over(self, trial: Trial) -> tuple[str, ...]:
        """What ``trial`` adapts of the layers that are skipped, and the model's own loss trains."""
        weights = {weight for step in self.skipped for weight in step.weights}
        skipped = weights | {weight.rpartition(".")[0] for weight in weights}
        return tuple(path for path in trial.adapted if path in skipped and path not in trial.dead)


NLL = "nll"
"""The ``loss_type`` of SFTTrainer that is the model's own loss, in versions that have another by default."""

TOLERANCE = 1e-3
"""Difference of a log-probability that rounding in single precision does not explain."""


@dataclass(frozen=True, slots=True)
class OwnLoss:
    """What a model's own loss is; ``None`` where it could not be told."""

    shifted: bool | None = None
    """Whether the label of a token is compared with what the model says of the token before."""
    counts_items: bool | None = None
    """Whether ``num_items_in_batch`` is what it is divided by."""
    reason: str = ""
    """Why it could not be computed, where something was raised."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What came of a few real steps of a trainer with adapters, on a small copy of the model."""

    trainer: Trainer = Trainer.SFT
    version: str = ""
    """Of the package that the trainer is from."""
    losses: tuple[float, ...] = ()
    """One for each step."""
    dead: tuple[str, ...] = ()
    """Paths of the model's sites whose adapters got no gradient in any step."""
    raised: Crash | None = None
    reason: str = ""
    """Why nothing could be tried."""


@dataclass(frozen=True, slots=True)
class Training:
    """What was found out of a model for the trainers that it is checked for.

    What depends on the trainers and their arguments is a property: :meth:`by` runs nothing again.
    """

    trainers: tuple[Trainer, ...] = ()
    fused_by: tuple[Trainer, ...] = ()
    """All that compute log-probabilities from the head's weight, without the model's own forward."""
    are_named: bool = False
    """Whether the user named them; otherwise they are those that a model is usually trained with."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the trainer that differ from its defaults."""
    trl: str = ""
    """The version of TRL whose behaviour is told."""
    fused_since: str = ""
    """The version of TRL before which only SFTTrainer did, if any."""
    unknown: str = ""
    """Why TRL's behaviour is not known, where it is not."""
    is_installed: bool = False
    """Whether that version is installed; otherwise it is the newest one known."""
    own_loss_types: tuple[str, ...] = ()
    """Values of SFTTrainer's ``loss_type`` with which it takes the model's own forward, and nothing else."""
    smooths_own: bool = False
    """Whether label smoothing has SFTTrainer take its loss from the model's own forward, beside the fused pass."""
    fused: Crash | None = None
    """What the fused head raises, without an auxiliary loss."""
    bare: Crash | None = None
    """What it raises on what a collator for text gives, where the model asks for more and it was given that."""
    has_router_logits: bool = False
    """Whether the text config has ``output_router_logits``, without which TRL adds no auxiliary loss."""
    always_balances: bool = False
    """Whether the text config asks for the auxiliary loss where no argument turns that off."""
    coefficient: float = 0.0
    """The weight of the auxiliary loss that TRL takes by default."""
    refuses_coefficient: bool = True
    """Whether TRL raises for a weight of the auxiliary loss where the text config has no router logits."""
    auxiliary: Crash | None = None
    """What the fused head raises beyond ``fused`` with the auxiliary loss of experts."""
    base: str = ""
    """Of a model whose fused head raises: an attribute which, taken for its base model, makes it run as its own."""
    classifier: Crash | None = None
    """What a trainer of reward models raises."""
    has_classifier: bool = True
    """Whether there is a class for classifying sequences, as which reward models are loaded."""
    tail: Tail = field(default_factory=Tail)
    loss: OwnLoss = field(default_factory=OwnLoss)
    passes_count: bool = False
    """Whether the Trainer leaves the division by the number of accumulated batches to the model's loss."""
    checkpointing: Crash | None = None
    """What turning gradient checkpointing on raises."""
    input_gradients: Crash | None = None
    """What a forward pass raises where the embeddings ask for gradients, as TRL has it of a model with adapters."""
    is_static: bool = False
    """Whether the model could not be run: there is nothing but what its classes say."""
    trained: Trained | None = None
    """What came of a real trial, where one was asked for."""

    @property
    def fusing(self) -> tuple[Trainer, ...]:
        """Those of the trainers that compute log-probabilities from the head's weight."""
        return tuple(trainer for trainer in self.trainers if self.fuses(trainer))

    @property
    def bypassing(self) -> tuple[Trainer, ...]:
        """Those of them whose loss comes of that: with label smoothing, SFTTrainer's is of the model's own logits."""
        smooths = self.smooths_own and bool(self.arguments.get("label_smoothing_factor"))
        own = {Trainer.SFT} if smooths and self.arguments.get("loss_type") != "dft" else set()
        return tuple(trainer for trainer in self.fusing if trainer not in own)

    def fuses(self, trainer: Trainer) -> bool:
        """Whether ``trainer`` computes log-probabilities from the head's weight, with the arguments it has."""
        is_own = trainer is Trainer.SFT and self.arguments.get("loss_type") in self.own_loss_types
        return trainer in self.fused_by and not is_own

    @property
    def checkpointed(self) -> tuple[Trainer, ...]:
        """Those of the trainers that turn gradient checkpointing on: TRL's do by default."""
        given = self.arguments.get("gradient_checkpointing")
        return tuple(trainer for trainer in self.trainers if (trainer.is_trl if given is None else given))

    @property
    def balancing(self) -> float:
        """The weight of the auxiliary loss that TRL would add; 0 where it adds none."""
        given = self.arguments.get("router_aux_loss_coef")
        return float(self.coefficient if given is None else given)

    @property
    def ignores_count(self) -> bool:
        """Whether the model's loss is not divided by the number of items that the Trainer leaves it to divide by."""
        return self.passes_count and self.loss.counts_items is False

    @property
    def balances(self) -> bool:
        """Whether TRL computes the auxiliary loss of experts."""
        return self.has_router_logits and (self.balancing != 0.0 or self.always_balances)

    @property
    def needs(self) -> Mapping[str, Any] | None:
        """What :meth:`needed_by` says of all the trainers together; ``None`` where one of them cannot be helped."""
        return needed_together(map(self.needed_by, self.trainers))

    def needed_by(self, trainer: Trainer) -> Mapping[str, Any] | None:
        """The arguments with which ``trainer`` runs where it does not without; ``None`` where no argument helps."""
        if trainer is Trainer.REWARD and self.classifier is not None:
            return None
        needed: dict[str, Any] = {}
        if trainer in self.checkpointed and self.checkpointing is not None:
            needed["gradient_checkpointing"] = False
        if trainer in self.checkpointed and trainer.is_trl and self.input_gradients is not None:
            needed["gradient_checkpointing"] = False
        if not self.fuses(trainer):
            return needed
        if self.fused is not None:
            return {**needed, "loss_type": NLL} if NLL in self.own_loss_types else None
        if self.refuses_balance:
            if self.always_balances:
                return None
            needed["router_aux_loss_coef"] = 0.0
        return needed

    @property
    def refuses_balance(self) -> bool:
        """Whether TRL raises for the weight of the auxiliary loss that it is given, or takes by default."""
        if self.has_router_logits:
            return self.balances and self.auxiliary is not None
        return self.refuses_coefficient and bool(self.arguments.get("router_aux_loss_coef"))

    def by(self, trainers: Sequence[Trainer] = (), **arguments: Any) -> Training:
        """The same with more ``arguments``, and for other ``trainers`` where some are given."""
        return replace(self, trainers=tuple(trainers) or self.trainers, arguments={**self.arguments, **arguments})


def needed_together(needed: Iterable[Mapping[str, Any] | None]) -> Mapping[str, Any] | None:
    """What :meth:`Training.needed_by` says of several trainers; ``None`` where one of them cannot be helped."""
    together: dict[str, Any] = {}
    for arguments in needed:
        if arguments is None:
            return None
        together |= arguments
    return together
