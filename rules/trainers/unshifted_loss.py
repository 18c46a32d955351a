"""ARC707: the model's own loss is not the one of the next token."""

from __future__ import annotations

from collections.abc import Iterable

from archlint.core.blueprint import Blueprint
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.rule import Example, Rule
from archlint.core.trainers import doing, own_forward, version
from archlint.core.training import Trainer


class UnshiftedLoss(Rule):
    """The model's own loss compares each token with its own label, and trainers differ in what they make of that.

    ## What it does
    Runs the model's own forward with labels, from the last hidden state on, and compares its loss with the two that
    come in question: labels shifted by one token, or not.

    ## Why it matters
    A decoder that reads a text is trained to tell the next token. Most classes shift the labels for that themselves,
    and data is prepared with labels equal to the inputs. A class that does not shift is then trained by transformers'
    Trainer to copy its input: the loss falls to nothing and nothing is learned. TRL's trainers shift in any case. For
    an encoder–decoder that is one shift too many: its inputs are the labels, already shifted, and it is trained to
    leave out every other token.

    ## What to do
    With transformers' Trainer, shift the labels in the collator: the label of a token is the token after it. An
    encoder–decoder is trained with Seq2SeqTrainer.
    """

    code = "ARC707"
    name = "unshifted-loss"
    severity = Severity.WARNING
    why = "Training runs and its loss falls, but it is not the loss of telling the next token."
    fires = (
        Example(
            "toy:trainers.Unshifted",
            severity=Severity.WARNING,
            trainers=[Trainer.TRANSFORMERS],
            says="the own loss of Unshifted compares each token with its own label: with labels equal to the "
            "inputs, as they are prepared for language models, it is trained to copy",
            fix=Remedy(
                "other", "shift the labels in the collator: labels[:, t] = input_ids[:, t + 1], and -100 at the end"
            ),
        ),
    )
    silent = (
        Example("toy:trainers.Plain", trainers=[Trainer.SFT, Trainer.TRANSFORMERS]),
        Example("toy:trainers.Unshifted", trainers=[Trainer.SFT]),
        Example("type:bert", trainers=[Trainer.TRANSFORMERS]),
    )

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        training = blueprint.training
        if training.loss.shifted is not False or not blueprint.facts.is_generative:
            return
        name = blueprint.model.class_name
        if blueprint.facts.is_encoder_decoder:
            if training.fusing and training.fused is None:
                who = doing(training.fusing, "shift")
                yield self.finding(
                    f"{who} the labels of {name}, whose decoder's inputs are shifted already",
                    evidence=Evidence.FORWARDED,
                    remedies=list(own_forward(training)),
                    proof=[f"the model's own loss is that of unshifted labels; {version(training)} shifts any"],
                    trainers=training.fusing,
                )
        elif Trainer.TRANSFORMERS in training.trainers:
            text = "shift the labels in the collator: labels[:, t] = input_ids[:, t + 1], and -100 at the end"
            yield self.finding(
                f"the own loss of {name} compares each token with its own label: with labels equal to the inputs, as "
                "they are prepared for language models, it is trained to copy",
                evidence=Evidence.FORWARDED,
                remedies=[
                    Remedy("other", text),
                    Remedy("other", f"or train with TRL's {Trainer.SFT.label}, which shifts them", trainer=Trainer.SFT),
                ],
                proof=["the model's own loss with labels → that of unshifted labels"],
                trainers=[Trainer.TRANSFORMERS],
            )
