"""ARC701: a trainer computes the loss from other logits than the model's own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from archlint.core.blueprint import Blueprint
from archlint.core.finding import Evidence, Finding, Location, Remedy, Severity
from archlint.core.rule import Example, Rule, listed
from archlint.core.trainers import doing, named, own_forward, version
from archlint.core.training import Tail, Trainer


class HeadBypass(Rule):
    """TRL's trainers multiply the last hidden state with the head's weight, and the model does something else.

    ## What it does
    Runs the model's own forward from the last hidden state on, with real numbers, and compares its logits with those
    that the trainer computes from the same state: the product with the head's weight, times a factor and under a cap
    that it reads from the text config. The difference told is the largest one of a token's log-probability, where
    logits have the spread of a trained model's.

    ## Why it matters
    Since 1.15 TRL's trainers do not call the model's head (SFTTrainer since 1.7): to save memory they take its weight
    and multiply it in chunks. Of what the model does beside that they know `logit_scale`, `output_multiplier`,
    `lm_head_multiplier`, `logits_scaling` and `final_logit_softcapping`, as they stand in the text config. A dense
    layer and a norm before the head, a cap by another name or a hidden state of another stream are left out; a scale
    that the config has and the class does not use is applied. Training runs, and its loss goes down, but it is not
    the loss of the model that is used afterwards.

    ## What to do
    Where a setting of the text config makes both the same, set it before the trainer is made, and put it back before
    the model is saved. Otherwise train with transformers' Trainer, which takes the model's own loss; SFTTrainer of
    TRL 1.7 to 1.14 does so with `loss_type="nll"`. `use_liger_kernel` does not help: TRL 1.16 takes only the kernels
    for layers from it, and keeps its own head.

    A buffer of the model, such as `final_logits_bias`, that is added to the logits and zero in most checkpoints is told
    as an info: look whether it is zero in yours.
    """

    code = "ARC701"
    name = "head-bypass"
    severity = Severity.WARNING
    why = "Training runs, but towards logits that the model does not compute when it is used."
    fires = (
        Example(
            "toy:trainers.Capped",
            at="lm_head",
            severity=Severity.WARNING,
            trainers=[Trainer.SFT],
            says="SFTTrainer would train Capped on other logits than its own: the log-probability of a token "
            "differs by up to …",
            fix=Remedy(
                "setting",
                "set final_logit_softcapping = 5.0 on model.config.get_text_config() before the trainer is "
                "made, and put it back before saving",
                {"final_logit_softcapping": 5.0},
            ),
        ),
        Example("toy:trainers.Unscaled", at="lm_head", severity=Severity.WARNING, trainers=[Trainer.DPO]),
        Example("toy:trainers.Transformed", at="lm_head", severity=Severity.WARNING, trainers=[Trainer.GRPO]),
        Example("toy:trainers.Padded", at="lm_head", severity=Severity.WARNING, trainers=[Trainer.SFT]),
        Example("toy:trainers.Biased", at="lm_head", severity=Severity.INFO, trainers=[Trainer.SFT]),
    )
    silent = (
        Example("toy:trainers.Plain", trainers=[Trainer.SFT]),
        Example("toy:trainers.Capped", trainers=[Trainer.TRANSFORMERS]),
        Example("toy:trainers.Capped", trainers=[Trainer.REWARD]),
        Example("toy:trainers.Capped", trainers=[Trainer.SFT], arguments={"label_smoothing_factor": 0.1}),
        Example("toy:trainers.Capped"),
    )

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        training = blueprint.training
        tail = training.tail
        if not training.bypassing or training.fused is not None or not (tail.differs or tail.buffers):
            return
        head = blueprint.by_path.get(blueprint.facts.output_embeddings or "")
        name, who = blueprint.model.class_name, named(training.bypassing)
        finding = self.finding(
            f"{who} would train {name} on other logits than its own: {_difference(tail)}"
            if tail.differs
            else f"{doing(training.bypassing, 'leave')} out {listed(tail.buffers)} of {name}: that changes nothing, "
            "unless the checkpoint has something other than zero there",
            sites=[] if head is None else [head],
            severity=Severity.WARNING if tail.differs else Severity.INFO,
            evidence=Evidence.FORWARDED,
            remedies=[*_settings(tail), *own_forward(training)],
            proof=[f"{version(training)}: {line}" for line in _told(tail)],
            trainers=training.bypassing,
        )
        at = next(iter(tail.skipped), tail.head)
        yield finding if at is None else replace(finding, location=Location(at.file, at.line))


def _difference(tail: Tail) -> str:
    if tail.other_state:
        return "they come from another hidden state than the backbone's last one"
    return f"the log-probability of a token differs by up to {tail.difference:.2g}"


def _told(tail: Tail) -> Iterator[str]:
    if tail.other_state:
        yield "takes the last hidden state of the backbone, and the model's own logits do not depend on it"
    if tail.skipped:
        places: dict[tuple[str, int], list[str]] = {(step.file, step.line): [] for step in tail.skipped}
        for step in tail.skipped:
            places[step.file, step.line].append(step.name)
        yield f"skips {listed(f'{listed(names)} at {file}:{line}' for (file, line), names in places.items())}"
    if tail.buffers:
        yield f"computes the model's own logits where {listed(tail.buffers)} is zero, and only there"
    if tail.left_off:
        yield f"takes {tail.left_off} rows of the head into account that the model's own logits leave off"
    if tail.applied:
        applied = ", ".join(f"{name}={value:g}" for name, value in tail.applied.items())
        also = "also " if tail.skipped else ""
        own = (
            f"; the model's own forward takes the head alone, at {tail.head.file}:{tail.head.line}"
            if tail.head and not also
            else ""
        )
        yield f"{also}applies {applied} of the text config{own}"


def _settings(tail: Tail) -> Iterator[Remedy]:
    if not tail.mended_by:
        return
    spelled = ", ".join(f"{name} = {value!r}" for name, value in tail.mended_by.items())
    yield Remedy(
        "setting",
        f"set {spelled} on model.config.get_text_config() before the trainer is made, and put it back before saving",
        value=dict(tail.mended_by),
        proven=True,
    )
