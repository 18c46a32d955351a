"""ARC702: a trainer refuses the head as a plan leaves it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from archlint.core import amending
from archlint.core.blueprint import Blueprint
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.rule import Example, Rule, spell
from archlint.core.safety import Safety
from archlint.core.trainers import doing, own_forward, version
from archlint.core.training import Trainer
from archlint.core.trial import Trial


class AdaptedHeadRefused(Rule):
    """A plan puts an adapter on the head, or rows of tokens on a head that shares them, and TRL's trainers raise.

    ## What it does
    Looks at the head of the model as PEFT leaves it: whether it is a layer with an adapter, and whether it still has
    the weight and the bias that a trainer asks for.

    ## Why it matters
    TRL's trainers multiply with the head's weight and do not call the head: an adapter there would never be trained,
    so they refuse it when they are made. Rows of `trainable_token_indices` on an embedding that is tied to the head
    wrap the head as well; the wrapper has no bias, and the first step raises.

    ## What to do
    Leave the head out of the targets. To train it, name it in `modules_to_save`, which trains the whole weight, and
    which the trainers take.
    """

    code = "ARC702"
    name = "adapted-head-refused"
    severity = Severity.ERROR
    why = "The trainer takes the weight of the head without calling it, and raises where an adapter is in its way."
    fires = (
        Example(
            "toy:trainers.Plain",
            plan={"target_modules": ["q_proj", "lm_head"]},
            at="lm_head",
            severity=Severity.ERROR,
            trainers=[Trainer.SFT],
            says="SFTTrainer refuses the head as the plan leaves it: lm_head",
            fix=Remedy("target_modules", "leave the head out", ["q_proj"]),
        ),
        Example(
            "toy:trainers.Tied",
            plan={"target_modules": ["q_proj"], "trainable_token_indices": [1]},
            at="lm_head",
            severity=Severity.ERROR,
            trainers=[Trainer.SFT],
        ),
    )
    silent = (
        Example(
            "toy:trainers.Plain",
            plan={"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]},
            trainers=[Trainer.SFT],
        ),
        Example(
            "toy:trainers.Plain",
            plan={"target_modules": ["q_proj"], "trainable_token_indices": [1]},
            trainers=[Trainer.SFT],
        ),
        Example("toy:trainers.Plain", plan={"target_modules": ["q_proj", "lm_head"]}, trainers=[Trainer.TRANSFORMERS]),
        Example("toy:trainers.Plain", trainers=[Trainer.SFT]),
    )

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        training = blueprint.training
        for trial in blueprint.trials:
            if trial.head is None or not training.fusing:
                continue
            by_rows = trial.head.at not in trial.adapted
            yield self.finding(
                f"{doing(training.fusing, 'refuse')} the head as the plan leaves it: {trial.head.at}",
                sites=[blueprint.by_path[path] for path in [trial.head.at or ""] if path in blueprint.by_path],
                evidence=Evidence.INJECTED,
                remedies=[*(_without_rows(blueprint, trial) if by_rows else _without(trial)), *own_forward(training)],
                proof=[f"{spell(trial)} → {version(training)}: {trial.head}"],
                settings=["trainable_token_indices"] if by_rows else [],
                trainers=training.fusing,
            )


def _without(trial: Trial) -> list[Remedy]:
    assert trial.head is not None  # the caller looked
    head = trial.head.at or ""
    text = "or train the head in full"
    kept = amending.leaving_out(trial, {head})
    if kept is None:
        return amending.without([trial], {head}, "leave the head out")
    saved = [*(kept.get("modules_to_save") or ()), head]
    plan = {**kept, "modules_to_save": saved}
    return [
        *amending.without([trial], {head}, "leave the head out"),
        Remedy("modules_to_save", text, value=saved, safety=Safety.LOSSY, plan=plan),
    ]


def _without_rows(blueprint: Blueprint, trial: Trial) -> list[Remedy]:
    """The same for rows of tokens: the whole embedding, or none of it."""
    plan: dict[str, Any] = {name: value for name, value in trial.plan.lora.items() if name != "trainable_token_indices"}
    whole = [*(plan.get("modules_to_save") or ()), *_embeddings(blueprint)]
    return [
        Remedy("other", "leave trainable_token_indices out", safety=Safety.LOSSY, plan=plan),
        Remedy(
            "modules_to_save",
            "or train the whole embedding, with ensure_weight_tying=True",
            value=whole,
            safety=Safety.LOSSY,
            plan={**plan, "modules_to_save": whole, "ensure_weight_tying": True},
        ),
    ]


def _embeddings(blueprint: Blueprint) -> list[str]:
    """The embedding that the head is tied to."""
    head = blueprint.by_path.get(blueprint.facts.output_embeddings or "")
    weights = () if head is None else head.weights
    tied = {weight.tied_to for weight in weights if weight.tied_to is not None}
    return [site.leaf for site in blueprint.sites if tied.intersection(site.parameters)]
