"""ARC404: a head that starts at random is neither adapted nor saved, and stays at its random start."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from archlint.core.blueprint import Blueprint, Site
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.rule import Example, Rule, quote
from archlint.core.trial import Trial


class FrozenHead(Rule):
    """A classifier that does not come with the published weights stays frozen at its random start.

    ## What it does
    Looks for linear heads on top of a published backbone, in a class that takes labels, and at whether the plan
    trains them: by an adapter, or by `modules_to_save`.

    ## Why it matters
    PEFT freezes everything that a plan does not name. The backbone then learns to please a random classifier:
    training runs, the loss falls a little, and the head that was never trained is not in the adapter's file, so
    that after loading another random one stands in its place.

    ## What to do
    Set `task_type` to `SEQ_CLS` or `TOKEN_CLS`, which saves a head called `classifier` or `score`, or name the
    head in `modules_to_save`.
    """

    code = "ARC404"
    name = "frozen-head"
    severity = Severity.WARNING
    why = "A head that starts at random and is not trained stays random, and the adapter's file does not hold it."
    fires = (
        Example(
            "toy:heads.classifier",
            plan={"target_modules": ["query"]},
            at="classifier",
            severity=Severity.WARNING,
            says="classifier starts at random and the plan does not train it",
            fix=Remedy(
                "modules_to_save",
                "train and store it (task_type SEQ_CLS or TOKEN_CLS does that for a classifier)",
                ["classifier"],
            ),
        ),
        Example("toy:heads.classifier", at="classifier", severity=Severity.INFO),
    )
    silent = (
        Example("toy:heads.classifier", plan={"target_modules": ["query"], "task_type": "SEQ_CLS"}),
        Example("toy:heads.classifier", plan={"target_modules": ["query"], "modules_to_save": ["classifier"]}),
        Example("toy:heads.Untied"),
    )

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        heads = [blueprint.by_path[path] for path in blueprint.facts.new_heads]
        plan = blueprint.plan
        if plan is None and heads:
            yield self.finding(
                f"{_names(heads)} starts at random; PEFT trains it only with a task_type or in modules_to_save",
                sites=heads,
                severity=Severity.INFO,
            )
        elif plan is not None and plan.raised is None:
            frozen = [site for site in heads if not _trains(plan, site)]
            if frozen:
                yield self.finding(
                    f"{_names(frozen)} starts at random and the plan does not train it",
                    sites=frozen,
                    evidence=Evidence.INJECTED,
                    remedies=[_remedy(plan, frozen)],
                    proof=[quote(plan)],
                )


def _trains(trial: Trial, site: Site) -> bool:
    return site.path in trial.adapted or any(f"{site.path}.".startswith(f"{path}.") for path in trial.saved)


def _names(sites: Sequence[Site]) -> str:
    return ", ".join(site.path for site in sites)


def _remedy(trial: Trial, sites: Sequence[Site]) -> Remedy:
    lora = trial.plan.lora
    saved = [*(lora.get("modules_to_save") or ()), *dict.fromkeys(site.path.partition(".")[0] for site in sites)]
    text = "train and store it (task_type SEQ_CLS or TOKEN_CLS does that for a classifier)"
    return Remedy("modules_to_save", text, saved, plan={**lora, "modules_to_save": saved})
