"""ARC704: a trainer turns gradient checkpointing on, and the model cannot be trained with it."""

from __future__ import annotations

from collections.abc import Iterable

from archlint.core.blueprint import Blueprint
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.rule import Example, Rule
from archlint.core.trainers import argument, doing
from archlint.core.training import Trainer, Training


class NoGradientCheckpointing(Rule):
    """A trainer turns gradient checkpointing on for a model that cannot be trained with it.

    ## What it does
    Turns gradient checkpointing on as the trainer does, and reports what is raised, where a trainer that is checked
    for has it on: TRL's have by default, transformers' Trainer has not. For TRL's trainers it also runs the model as
    they have it with adapters: the output of the embeddings asks for a gradient.

    ## Why it matters
    Classes that were written before gradient checkpointing, or whose layers cannot be run twice, raise a ValueError
    when it is turned on. That is at the first step: after the data is prepared and the weights are loaded.

    Other classes support it and write into the output of their embeddings. With frozen weights that is harmless, until
    TRL's trainers have that output ask for a gradient, which they do for a model with adapters where checkpointing is
    on: then torch refuses to write into it, and the first step raises a RuntimeError.

    ## What to do
    Train with `gradient_checkpointing=False`, and a smaller batch where memory is short.
    """

    code = "ARC704"
    name = "no-gradient-checkpointing"
    severity = Severity.ERROR
    why = "The trainer turns it on before the first step, and that raises."
    fires = (
        Example(
            "toy:trainers.Unsupporting",
            severity=Severity.ERROR,
            trainers=[Trainer.SFT],
            says="SFTTrainer turns gradient checkpointing on by default, and Unsupporting does not support it",
            fix=Remedy("setting", "gradient_checkpointing=False: train without it", {"gradient_checkpointing": False}),
        ),
        Example("toy:trainers.Overwriting", severity=Severity.ERROR, trainers=[Trainer.SFT]),
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
        Example(
            "toy:trainers.Overwriting", trainers=[Trainer.TRANSFORMERS], arguments={"gradient_checkpointing": True}
        ),
    )

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        training = blueprint.training
        name = blueprint.model.class_name
        if training.checkpointing is not None:
            yield from self._findings(
                training, training.checkpointed, f"{name} does not support it", str(training.checkpointing)
            )
        elif training.input_gradients is not None:
            crash = training.input_gradients
            yield from self._findings(
                training,
                tuple(trainer for trainer in training.checkpointed if trainer.is_trl),
                f"with adapters, gradient checkpointing has the embeddings ask for gradients, and {name} raises",
                f"the embeddings ask for gradients → {crash}",
            )

    def _findings(self, training: Training, trainers: tuple[Trainer, ...], why: str, came: str) -> Iterable[Finding]:
        if not trainers:
            return
        by_default = "" if "gradient_checkpointing" in training.arguments else " by default"
        yield self.finding(
            f"{doing(trainers, 'turn')} gradient checkpointing on{by_default}, and {why}",
            evidence=Evidence.STATIC if training.is_static else Evidence.FORWARDED,
            remedies=[argument("train without it", gradient_checkpointing=False)],
            proof=[f"gradient_checkpointing=True → {came}"],
            settings=["gradient_checkpointing"],
            trainers=trainers,
        )
