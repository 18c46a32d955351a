"""ARC403: a plan puts an adapter on the model's head."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from archlint.core import amending
from archlint.core.blueprint import Blueprint, Kind, Role, Site
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.refusals import Cause, cause
from archlint.core.rule import Example, Rule, quote
from archlint.core.trial import Trial


class HeadTargeted(Rule):
    """A plan adapts the output head of a language model, or a classifier that starts at random.

    ## What it does
    Looks for adapters on the module that `get_output_embeddings()` gives, on a head that comes with no published
    weights, and on other parts of heads. The first two are a warning when the user's plan does it.

    ## Why it matters
    Trainers and inference engines take the head's weight without calling the head: TRL refuses a model whose
    `lm_head` is adapted, and engines that serve adapters leave it out. A classifier that starts at random is
    worse off: the adapter's file holds the update and not the random weight below it, so the trained head is
    lost on reload. Where the task type saves that classifier as well, PEFT raises.

    ## What to do
    Leave the output head out of the targets. To train it, or a new classifier, put it in `modules_to_save`,
    which trains and stores the whole weight; the task types `SEQ_CLS` and `TOKEN_CLS` do that for a classifier.
    """

    code = "ARC403"
    name = "head-targeted"
    severity = Severity.ERROR
    why = "Trainers and inference engines take the weight of the head without calling it, and refuse an adapted one."
    fires = (
        Example(
            "toy:heads.Untied",
            plan={"target_modules": ["q_proj", "lm_head"]},
            at="lm_head",
            severity=Severity.WARNING,
            says="the plan adapts the head: lm_head",
            fix=Remedy("target_modules", "leave the head out", ["q_proj"]),
        ),
        Example(
            "toy:heads.classifier", plan={"target_modules": "all-linear"}, at="classifier", severity=Severity.WARNING
        ),
        Example(
            "toy:heads.classifier",
            plan={"target_modules": "all-linear", "task_type": "TOKEN_CLS"},
            at="classifier",
            severity=Severity.ERROR,
        ),
        Example("toy:heads.classifier", at="classifier", severity=Severity.INFO),
    )
    silent = (
        Example("toy:heads.Untied"),
        Example("toy:heads.Untied", plan={"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]}),
        Example("toy:heads.classifier", plan={"target_modules": "all-linear", "task_type": "SEQ_CLS"}),
    )

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        for trial in blueprint.trials:
            if cause(blueprint, trial) is Cause.SAVED_TWICE:
                yield self._saved_twice(blueprint, trial)
            sites = [blueprint.by_path[path] for path in trial.adapted if _is_head(blueprint, path)]
            if not sites:
                continue
            harmed = trial is blueprint.plan and any(_is_whole(blueprint, site) for site in sites)
            yield self.finding(
                f"{trial.plan.name if trial is not blueprint.plan else 'the plan'} adapts the head: {_names(sites)}",
                sites=sites,
                severity=Severity.WARNING if harmed else Severity.INFO,
                evidence=Evidence.INJECTED,
                remedies=_remedies(blueprint, trial, sites) if harmed else [],
                proof=[quote(trial)],
            )

    def _saved_twice(self, blueprint: Blueprint, trial: Trial) -> Finding:
        heads = blueprint.select(where=lambda site: _is_whole(blueprint, site))
        names = [site.path for site in heads]
        plan = {**trial.plan.lora, "exclude_modules": names}
        return self.finding(
            f"the plan adapts a head that PEFT is also to save in full: {_names(heads)}",
            sites=heads,
            evidence=Evidence.INJECTED,
            remedies=[Remedy("exclude_modules", "keep the head out of the targets", names, plan=plan)],
            proof=[quote(trial)],
        )


def _is_head(blueprint: Blueprint, path: str) -> bool:
    site = blueprint.by_path[path]
    return site.kind is Kind.HEAD or site.role is Role.HEAD


def _is_whole(blueprint: Blueprint, site: Site) -> bool:
    """Whether the site is the output layer itself, or a part of a head that starts at random."""
    return site.kind is Kind.HEAD or site.path in blueprint.facts.new_heads


def _names(sites: Sequence[Site]) -> str:
    return ", ".join(site.path for site in sites)


def _remedies(blueprint: Blueprint, trial: Trial, sites: Sequence[Site]) -> list[Remedy]:
    lora = trial.plan.lora
    if any(site.path in blueprint.facts.new_heads for site in sites):
        saved = [*(lora.get("modules_to_save") or ()), *dict.fromkeys(site.path.partition(".")[0] for site in sites)]
        text = "train and store the whole head (task_type SEQ_CLS or TOKEN_CLS does it for a classifier)"
        return [Remedy("modules_to_save", text, saved, plan={**lora, "modules_to_save": saved})]
    return amending.without([trial], {site.path for site in sites}, "leave the head out")
