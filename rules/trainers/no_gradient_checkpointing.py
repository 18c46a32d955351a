"""ARC704: a trainer turns gradient checkpointing on, and the class refuses that."""

from __future__ import annotations

from collections.abc import Iterable

from archlint.core.blueprint import Blueprint
from archlint.core.finding import Evidence, Finding, Severity
from archlint.core.rule import Example, Rule
from archlint.core.trainers import argument, doing
from archlint.core.training import Trainer


class NoGradientCheckpointing(Rule):
    """A trainer turns gradient checkpointing on for a class that does not support it.

    ## What it does
    Turns gradient checkpointing on as the trainer does, and reports what is raised, where a trainer that is checked
    for has it on: TRL's have by default, transformers' Trainer has not.

    ## Why it matters
    Classes that were written before gradient checkpointing, or whose layers cannot be run twice, raise a ValueError
    when it is turned on. That is at the first step: after the data is prepared and the weights are loaded.

    ## What to do
    Train with `gradient_checkpointing=False`, and a smaller batch where memory is short.
    """

    code = "ARC704"
    name = "no-gradient-checkpointing"
    severity = Severity.ERROR
    why = "The trainer turns it on before the first step, and that raises."
    fires = (
        Example("toy:trainers.Unsupporting", severity=Severity.ERROR, trainers=[Trainer.SFT]),
        Example(
            "toy:trainers.Unsupporting",
            severity=Severity.ERROR,
            trainers=[Trainer.TRANSFORMERS],
            arguments={"gradient_checkpointing": True},
        ),
    )
    silent = (
        Example("toy:trainers.Plain", trainers=[Trainer.SFT]),
        Example("toy:trainers.Unsupporting", trainers=[Trainer.TRANSFORMERS]),
        Example("toy:trainers.Unsupporting", trainers=[Trainer.SFT], arguments={"gradient_checkpointing": False}),
        Example("toy:trainers.Unsupporting"),
    )

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        training = blueprint.training
        crash, trainers = training.checkpointing, training.checkpointed
        if crash is None or not trainers:
            return
        by_default = "" if "gradient_checkpointing" in training.arguments else " by default"
        yield self.finding(
            f"{doing(trainers, 'turn')} gradient checkpointing on{by_default}, "
            f"and {blueprint.model.class_name} does not support it",
            evidence=Evidence.FORWARDED,
            remedies=[argument("train without it", gradient_checkpointing=False)],
            proof=[f"gradient_checkpointing=True → {crash}"],
            settings=["gradient_checkpointing"],
            trainers=trainers,
        )
