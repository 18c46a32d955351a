"""ARC708: the Trainer leaves the division of accumulated losses to a model that does not do it."""

from __future__ import annotations

from collections.abc import Iterable

from archlint.core.blueprint import Blueprint
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.rule import Example, Rule
from archlint.core.trainers import argument
from archlint.core.training import Trainer


class LossScaling(Rule):
    """With gradient accumulation the loss grows with the number of steps: nobody divides it.

    ## What it does
    Gives the model a `num_items_in_batch`, where transformers' Trainer would, and looks whether its loss is divided
    by that.

    ## Why it matters
    Where `forward` takes further keyword arguments, the Trainer believes that the model divides its loss by
    `num_items_in_batch`, and does not divide it by `gradient_accumulation_steps` itself. A class that takes the
    argument and ignores it gives the mean of each batch, and the sum of these is that many times too large: gradients
    are, and clipping and the logged loss with them. With one step, which is the default, nothing is wrong.

    ## What to do
    Set `model.accepts_loss_kwargs = False` on the loaded model: then the Trainer divides.
    """

    code = "ARC708"
    name = "loss-scaling"
    severity = Severity.WARNING
    why = "With gradient accumulation the loss and its gradients are that many times too large."
    fires = (
        Example("toy:trainers.Uncounting", severity=Severity.INFO, trainers=[Trainer.TRANSFORMERS]),
        Example(
            "toy:trainers.Uncounting",
            severity=Severity.WARNING,
            trainers=[Trainer.TRANSFORMERS],
            arguments={"gradient_accumulation_steps": 8},
            says="Uncounting ignores num_items_in_batch: with gradient accumulation its loss is 8 times too large",
            fix=Remedy(
                "setting",
                "set model.accepts_loss_kwargs = False on the loaded model: then the Trainer divides",
                {"accepts_loss_kwargs": False},
            ),
        ),
    )
    silent = (
        Example("toy:trainers.Plain", trainers=[Trainer.TRANSFORMERS]),
        Example("toy:trainers.Uncounting", trainers=[Trainer.SFT]),
        Example(
            "toy:trainers.Uncounting",
            trainers=[Trainer.TRANSFORMERS],
            arguments={"gradient_accumulation_steps": 1},
        ),
    )

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        training = blueprint.training
        steps = training.arguments.get("gradient_accumulation_steps")
        if Trainer.TRANSFORMERS not in training.trainers or steps == 1:
            return
        if not training.ignores_count:
            return
        text = "set model.accepts_loss_kwargs = False on the loaded model: then the Trainer divides"
        yield self.finding(
            f"{blueprint.model.class_name} ignores num_items_in_batch: with gradient accumulation its loss is "
            f"{f'{steps} times' if steps else 'as many times'} too large",
            severity=Severity.INFO if steps is None else Severity.WARNING,
            evidence=Evidence.FORWARDED,
            remedies=[
                Remedy("setting", text, value={"accepts_loss_kwargs": False}),
                argument("or do without accumulation", gradient_accumulation_steps=1),
            ],
            proof=["the model's own loss with num_items_in_batch and without → the same"],
            trainers=[Trainer.TRANSFORMERS],
        )
