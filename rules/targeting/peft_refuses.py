"""ARC515: PEFT refuses a plan for a reason that no other rule tells."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from archlint.core.blueprint import Blueprint
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.refusals import Cause, cause, culprit
from archlint.core.rule import Example, Rule, quote
from archlint.core.trial import Trial


class PeftRefuses(Rule):
    """PEFT raises on a plan, and what it says is all that is known of why.

    ## What it does
    Runs the plan and gives PEFT's own message, where no other rule explains the refusal. The usual ones are a
    setting out of its range, or one that a kind of layer does not allow.

    ## Why it matters
    `get_peft_model` raises, and nothing is trained.

    ## What to do
    Change what the message names. Tokens that were added need rows in the embedding before they can be trained by
    their indices: `model.resize_token_embeddings`. The recipe is a plan that PEFT takes.
    """

    code = "ARC515"
    name = "peft-refuses"
    severity = Severity.ERROR
    why = "PEFT raises before training starts."
    fires = (
        Example(
            "toy:projections.Dense",
            plan={"target_modules": ["q_proj"], "r": 0},
            severity=Severity.ERROR,
            says="PEFT refuses the plan at layers.0.q_proj: ValueError: `r` should be a positive integer value "
            "but the value passed is 0",
            fix=Remedy("target_modules", "a plan that PEFT takes: the recipe below"),
        ),
        Example(
            "toy:targeting.Crowded",
            plan={"target_modules": ["attention"], "use_dora": True},
            at="attention",
            severity=Severity.ERROR,
        ),
        Example("toy:heads.Untied", plan={"target_modules": ["q_proj"], "trainable_token_indices": [99]}),
    )
    silent = (
        Example("toy:projections.Dense", plan={"target_modules": ["q_proj"]}),
        Example("toy:projections.Dense", plan={"target_modules": "q_proj"}),
        Example("toy:projections.Dense"),
    )

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        refused = [trial for trial in blueprint.trials if cause(blueprint, trial) is Cause.OTHER]
        recipe = Remedy("target_modules", "a plan that PEFT takes: the recipe below", by_recipe=True)
        harmless = blueprint.plan is None and any(trial.raised is None for trial in blueprint.stock)
        for trial in refused:
            site = culprit(blueprint, trial)
            where = f" at {site.path}" if site is not None else ""
            yield self.finding(
                f"PEFT refuses the plan{where}: {trial.raised}",
                sites=[site] if site is not None else [],
                severity=Severity.INFO if harmless else Severity.ERROR,
                evidence=Evidence.INJECTED,
                remedies=[*_resizing(trial), recipe],
                proof=[quote(trial)],
                settings=_named(trial),
            )


def _named(trial: Trial) -> list[str]:
    """The settings that PEFT's message speaks of by name."""
    words = set(re.findall(r"\w+", str(trial.raised)))
    return [setting for setting in trial.plan.lora if setting in words]


def _resizing(trial: Trial) -> Iterator[Remedy]:
    """What adds the rows of tokens that the plan trains, where the embedding lacks them."""
    if trial.raised is not None and trial.raised.rows is not None:
        text = f"for tokens that were added: model.resize_token_embeddings({trial.raised.rows}) before get_peft_model"
        yield Remedy("other", text)
