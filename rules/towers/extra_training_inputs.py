"""ARC603: in training the model asks for inputs that a plain batch does not have."""

from __future__ import annotations

from collections.abc import Iterable

from archlint.core.blueprint import Blueprint
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.rule import Example, Rule
from archlint.core.runs import batch_of, located, plain_batch
from archlint.core.trainers import named, version
from archlint.core.training import Trainer


class ExtraTrainingInputs(Rule):
    """In training mode the model raises without an input that it does not need in evaluation.

    ## What it does
    Runs the model in training on a batch of tokens alone, and, where that raises, on one with token types as well.
    It is an error where TRL's trainers raise on what their collator makes of text.

    ## Why it matters
    Models that read images want to know in training which tokens stand for one (`token_type_ids`,
    `mm_token_type_ids`), also on a batch that has no image. A collator for text supplies nothing of the kind, and
    a data set prepared with a tokenizer has no such column: the first training step raises, while generation with
    the same inputs works.

    ## What to do
    Prepare the data with the model's processor instead of its tokenizer, and see that the collator pads and keeps
    the column. For text alone, zeros of the shape of `input_ids` say that no token is part of an image. Newer
    versions of transformers often ask for nothing.
    """

    code = "ARC603"
    name = "extra-training-inputs"
    severity = Severity.ERROR
    why = "A collator for text supplies no such input: the first training step raises, with any plan."
    fires = (
        Example("toy:towers.Typed", severity=Severity.WARNING),
        Example(
            "toy:trainers.Typed",
            severity=Severity.ERROR,
            trainers=[Trainer.SFT],
            says="in training Typed asks for token_type_ids, which a batch of input_ids, attention_mask, labels lacks",
            fix=Remedy(
                "other", "give the collator token_type_ids: zeros like input_ids, where no token stands for an image"
            ),
        ),
        Example("toy:trainers.Typed", severity=Severity.WARNING, trainers=[Trainer.TRANSFORMERS]),
        Example("toy:towers.Typed", plan={"target_modules": ".*text.*q_proj"}, severity=Severity.WARNING),
    )
    silent = (Example("toy:towers.Captioner"), Example("toy:projections.Dense"))

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        baseline = blueprint.baseline
        if not baseline.extra:
            return
        names = " and ".join(baseline.extra)
        crash = baseline.without_extra
        training = blueprint.training
        raises = bool(training.fusing) and training.bare is not None
        finding = self.finding(
            f"in training {blueprint.model.class_name} asks for {names}, which {plain_batch(baseline)} lacks",
            severity=Severity.ERROR if raises else Severity.WARNING,
            evidence=Evidence.FORWARDED,
            remedies=[
                Remedy("other", f"give the collator {names}: zeros like input_ids, where no token stands for an image"),
                Remedy("other", "or prepare the data with AutoProcessor, which gives them, and keep the columns"),
            ],
            proof=[
                *([f"{named(training.fusing)} of {version(training)} on text → {training.bare}"] if raises else []),
                f"{plain_batch(baseline)} → {crash if crash is not None else 'raises'}",
                f"{batch_of(baseline.inputs)} → forward and backward run",
            ],
            trainers=training.fusing if raises else (),
        )
        yield located(finding, crash)
