"""ARC706: a trainer cannot run the model at all."""

from __future__ import annotations

from collections.abc import Iterable

from archlint.core.blueprint import Blueprint
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.rule import Example, Rule
from archlint.core.runs import located
from archlint.core.trainers import named, own_forward, version
from archlint.core.training import Trained, Trainer, Training

_TEXT = "input_ids"
"""What models take that trainers of text are for: nobody tries them on one that takes sound, unless they say so."""


class TrainerCrash(Rule):
    """A trainer raises on the model whatever the plan: it has no base model, no head, or wants other inputs.

    ## What it does
    Follows the trainer's forward pass on the meta device, line by line where an exception can come of it, and reports
    what the trainer would raise. With `--trial-train`, also what the installed SFTTrainer raised on a small copy.

    ## Why it matters
    TRL's trainers run `model.base_model`, take its `last_hidden_state` and multiply that with the weight of
    `get_output_embeddings()`. Where `base_model_prefix` names no attribute, the base model is the model itself and
    has no hidden state to give. An encoder–decoder's base model gets no labels to make the decoder's inputs of.
    Other heads have no bias attribute, or take another width than the backbone gives. Models of a class that cannot
    generate have no `generation_config`, which SFTTrainer writes into. RewardTrainer needs a classifier with one label.

    ## What to do
    Where another attribute serves as the base model, name it on the loaded model; a classifier's number of labels is
    `num_labels=1` at loading. Otherwise train with transformers' Trainer.
    """

    code = "ARC706"
    name = "trainer-crash"
    severity = Severity.ERROR
    why = "The trainer raises when it is made or at its first step, with any plan."
    fires = (
        Example(
            "toy:trainers.Baseless",
            severity=Severity.ERROR,
            trainers=[Trainer.SFT],
            says="SFTTrainer cannot train Baseless: AttributeError: 'CausalLMOutput' object has no attribute "
            "'last_hidden_state'",
            fix=Remedy(
                "setting",
                "set model.base_model_prefix = 'model' on the loaded model: that part is its backbone",
                {"base_model_prefix": "model"},
            ),
        ),
        Example("toy:trainers.Plain", severity=Severity.ERROR, trainers=[Trainer.REWARD]),
    )
    silent = (
        Example("toy:trainers.Plain", trainers=[Trainer.SFT, Trainer.TRANSFORMERS]),
        Example("toy:trainers.Baseless", trainers=[Trainer.TRANSFORMERS]),
        Example("toy:trainers.rewarding", trainers=[Trainer.REWARD]),
    )

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        training = blueprint.training
        name, facts = blueprint.model.class_name, blueprint.facts
        if training.fusing and training.fused is not None:
            finding = self.finding(
                f"{named(training.fusing)} cannot train {name}: {training.fused}",
                severity=Severity.ERROR if training.are_named or facts.main_input == _TEXT else Severity.INFO,
                evidence=Evidence.FORWARDED,
                remedies=_remedies(training),
                proof=[f"{version(training)}: the head's weight on what model.base_model gives → {training.fused}"],
                trainers=training.fusing,
            )
            yield located(finding, training.fused)
        if Trainer.REWARD in training.trainers and training.classifier is not None:
            text = "load it with AutoModelForSequenceClassification and num_labels=1: --class names another class here"
            loaded = "it is loaded with AutoModelForSequenceClassification, which has no class for"
            finding = self.finding(
                f"{Trainer.REWARD.label} cannot train {name}: {training.classifier}"
                if training.has_classifier
                else f"{Trainer.REWARD.label} cannot train {name}: {loaded} {blueprint.model.model_type}",
                evidence=Evidence.FORWARDED,
                remedies=[Remedy("other", text if training.has_classifier else _OWN_CLASSIFIER)],
                proof=[f"{version(training)}: a reward for each row → {training.classifier}"],
                trainers=[Trainer.REWARD],
            )
            yield located(finding, training.classifier)
        if training.trained is not None and training.trained.raised is not None:
            yield from self._tried(training.trained, blueprint)

    def _tried(self, trained: Trained, blueprint: Blueprint) -> Iterable[Finding]:
        """What a real trial raised; where the trainer's forward pass raises, the finding about that says it."""
        training = blueprint.training
        if training.fused is not None or training.needs or any(trial.head is not None for trial in blueprint.trials):
            return
        finding = self.finding(
            f"{trained.trainer.label} of TRL {trained.version} raised on a small copy of "
            f"{blueprint.model.class_name}: {trained.raised}",
            evidence=Evidence.FORWARDED,
            remedies=list(own_forward(training)),
            proof=[f"two steps on four rows of text → {trained.raised}"],
            trainers=[trained.trainer],
        )
        yield located(finding, trained.raised)


_OWN_CLASSIFIER = (
    "give it one: a class that inherits from transformers.modeling_layers.GenericForSequenceClassification and from "
    "the model type's PreTrainedModel, loaded with num_labels=1"
)


def _remedies(training: Training) -> list[Remedy]:
    base = training.base
    text = f"set model.base_model_prefix = {base!r} on the loaded model: that part is its backbone"
    mended = [Remedy("setting", text, value={"base_model_prefix": base}, proven=True)] if base else []
    return [*mended, *own_forward(training)]
